package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// A body that the client spoils is the client's fault, and says nothing of the
// function's address.
func TestBodyThatCannotBeReadIsTheClientsFault(t *testing.T) {
	p := startSites(t, `{
	kubefaas {
		executor http {{.Executor}}
	}
}
http://:{{.HTTP}} {
	request_body {
		max_size 1KB
	}
	kubefaas /hello hello
}
`)
	f := NewFunction(t)
	p.ex.Answer("hello", executortest.At(f.Addr()))
	p.once(t, http.MethodGet, "/hello", "", "")
	for name, test := range map[string]struct {
		body   string // behind the head of a chunked request
		status int
	}{
		"a chunk that is none":            {"not a size\r\n", http.StatusBadRequest},
		"more than the site lets through": {fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 2000, strings.Repeat("x", 2000)), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			w := p.mustDial(t)
			if _, err := io.WriteString(w.conn, "POST /hello HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"+test.body); err != nil {
				t.Fatal(err)
			}
			r, err := w.receive()
			if err != nil {
				t.Fatal(err)
			}
			if r.status != test.status || r.reason() != "request_body" {
				t.Errorf("got %d %q, want %d request_body; body: %.200s", r.status, r.reason(), test.status, r.body)
			}
		})
	}
	if got := p.ex.CallsFor("hello"); got != 1 {
		t.Errorf("got %d calls of the executor, want 1: the address is as good as before", got)
	}
}
