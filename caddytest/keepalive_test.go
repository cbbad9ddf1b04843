package caddytest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// A function closes the connection that the router has kept; the next request
// must neither fall into it nor be sent twice.
func TestRequestOnAConnectionThatTheFunctionClosed(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *Function){
		"closed in silence": func(_ *testing.T, f *Function) { f.state.conns.closeAll() },
		"the function restarted": func(t *testing.T, f *Function) {
			f.Kill()
			f.Restart(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFunction(t)
			p := startPlatform(t, "", triggersFor("hello"))
			p.ex.Answer("hello", executortest.At(f.Addr()))
			w := p.mustDial(t)
			for i := range 100 {
				method := []string{http.MethodPost, http.MethodGet, http.MethodPut}[i%3]
				if err := w.ok(method, "/hello", fmt.Sprint(i), "body"); err != nil {
					t.Fatalf("%s %d: %v", method, i, err)
				}
				end(t, f)
			}
			if n, again := len(f.IDs()), f.Repeated(); n != 100 || len(again) > 0 {
				t.Errorf("got %d requests executed, %v more than once, want 100 and none", n, again)
			}
		})
	}
}

// closing answers and ends the connection shortly after, without having said
// that it would: the router cannot know whether its next request is too late.
func closing(after func() time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		time.AfterFunc(after(), func() { _ = conn.Close() })
	})
}

// Here the function closes just as the next request comes. What was sent may
// have been executed, for all the router knows: it is not sent again.
func TestRequestThatMeetsAClosingConnectionIsNotSentTwice(t *testing.T) {
	n := 0
	f := NewFunction(t, WithHandler(closing(func() time.Duration {
		n++ // one request at a time
		return time.Duration(n%40) * 25 * time.Microsecond
	})))
	p := startPlatform(t, "", triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	w := p.mustDial(t)
	answers := new(tally)
	for i := range 1000 {
		r, err := w.do(http.MethodPost, "/hello", fmt.Sprint(i), "body")
		if err != nil {
			t.Fatalf("POST %d: %v", i, err)
		}
		what := fmt.Sprint(r.status, " ", r.reason())
		answers.add(0, what)
		if what != "200 " && what != "502 function_error" {
			t.Errorf("POST %d: got %s, want 200, or 502 function_error", i, what)
		}
		time.Sleep(500 * time.Microsecond)
	}
	t.Logf("answers: %v", answers.count)
	if again := f.Repeated(); len(again) > 0 {
		t.Errorf("got POSTs executed more than once, want none: %v", again)
	}
}
