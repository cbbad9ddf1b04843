package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rawServer answers each connection's first bytes with the same text, and
// closes the connection.
func rawServer(t *testing.T, text string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1<<10))
			_, _ = conn.Write([]byte(text))
			conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestClientTakesOnlyWhatItExpects(t *testing.T) {
	stream := func(events int) string {
		var text strings.Builder
		text.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range events {
			fmt.Fprintf(&text, "%x\r\n%s\r\n", eventSize, event(time.Now()))
		}
		return text.String() + "0\r\n\r\n"
	}
	const length3 = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"
	for name, test := range map[string]struct {
		text   string
		events bool
		want   string // part of the error; "" for none
	}{
		"the body":                   {length3 + "abc", false, ""},
		"another body":               {length3 + "abd", false, "another body"},
		"a body cut off":             {length3 + "ab", false, "EOF"},
		"a longer body":              {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", false, "got length 4, want 3"},
		"no length":                  {"HTTP/1.1 200 OK\r\n\r\nabc", false, "got length -1, want 3"},
		"a bad length":               {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", false, "invalid syntax"},
		"another status":             {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nwhy", false, "got status 502, want 200: why"},
		"a connection that closes":   {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", false, "closes the connection"},
		"no HTTP":                    {"hello\r\n", false, "want a status line"},
		"nothing":                    {"", false, "EOF"},
		"a head cut off":             {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", false, "EOF"},
		"a stream":                   {stream(eventCount), true, ""},
		"a stream with fewer events": {stream(eventCount - 1), true, "want 20"},
		"a stream cut off":           {strings.TrimSuffix(stream(eventCount), "0\r\n\r\n"), true, "EOF"},
		"no stream":                  {length3 + "abc", true, "not chunked"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := dialClient(rawServer(t, test.text), time.Now().Add(patience))
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			q := newRequest(http.MethodGet, "a", "/", nil, []byte("abc"))
			q.events = test.events
			took, err := c.do(q, nil)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got error %v, want none", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got error %v, want %q in it", err, test.want)
			}
			want := 1
			if test.events {
				want = eventCount
			}
			if test.want == "" && len(took) != want {
				t.Errorf("got %d times, want %d", len(took), want)
			}
		})
	}
}

func TestFleetGoesOnAfterAFailureAndCountsIt(t *testing.T) {
	// It closes each connection, so that every second request has none.
	f, err := dialFleet(rawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	got := f.run(once([]*request{
		newRequest(http.MethodGet, "a", "/", nil, []byte("abc")),
		newRequest(http.MethodGet, "a", "/", nil, []byte("abc")),
		newRequest(http.MethodGet, "a", "/", nil, []byte("abc")),
	}))
	if got.requests != 2 || got.failures != 1 || got.err == nil {
		t.Errorf("got %d requests and %d failures (%v), want 2 and 1", got.requests, got.failures, got.err)
	}
}

func TestFleetGivesAGoneProxyUp(t *testing.T) {
	addr := rawServer(t, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	f, err := dialFleet(addr, 1, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	got := f.run(until(time.Minute, []*request{newRequest(http.MethodGet, "a", "/", nil, nil)}))
	if got.requests != 0 || got.failures != maxFailures {
		t.Errorf("got %d requests and %d failures, want 0 and %d", got.requests, got.failures, maxFailures)
	}
}
