package caddytest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends bytes and returns the response's status line and head.
func (c *Caddy) rawHead(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	var head strings.Builder
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return head.String()
		}
		head.WriteString(line)
	}
}

func TestInternalRoutesSeeTheCleanedPath(t *testing.T) {
	a, private := NewFunction(t, WithID("a")), NewFunction(t, WithID("private"))
	c := Start(t, Caddyfile(`
{
	kubefaas {
		executor static {
			a `+a.Addr()+`
			private `+private.Addr()+`
		}
	}
}
http://:{{.HTTP}} {
	kubefaas /kubefaas-function/a* {
		internal
	}
}`))
	for _, path := range []string{
		"/kubefaas-function/private/../a/x", "/kubefaas-function/default/private/../../a/x", "//kubefaas-function//a/x",
	} {
		head := c.rawHead(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if private.Requests() != 0 {
			t.Fatalf("%s reached the function that the matcher guards: %s", path, head)
		}
	}
	if got := c.rawHead(t, "GET /kubefaas-function/../kubefaas-function/a/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("a path that is cleaned to the function's got %s, want 200", got)
	}
}

func TestHomeAnswersBesideATriggerForAnotherMethod(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, Caddyfile(`
{
	kubefaas {
		executor static {
			f `+f.Addr()+`
		}
	}
}
http://:{{.HTTP}} {
	kubefaas {
		trigger POST / f
		home
	}
}`))
	for method, want := range map[string]int{http.MethodGet: 200, http.MethodHead: 200, http.MethodPost: 200, http.MethodPut: 405} {
		got := c.rawHead(t, method+" / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d", want)) {
			t.Errorf("%s / got %s, want %d", method, got, want)
		}
	}
	if got := f.Requests(); got != 1 {
		t.Errorf("the function got %d requests, want the POST alone", got)
	}
}

func TestTheFunctionSeesTheURLThatTheClientSent(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, Caddyfile(`
{
	kubefaas {
		executor static {
			f `+f.Addr()+`
		}
	}
}
http://:{{.HTTP}} {
	handle_path /api/* {
		kubefaas {
			trigger /t/{x} f
		}
	}
}`))
	resp, err := c.Client().Get(c.URL("/api/t/a%2Fb?q=1"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ReadEcho(t, resp).Header.Get("X-Kubefaas-Full-Url"); got != "/api/t/a%2Fb?q=1" {
		t.Errorf("X-Kubefaas-Full-Url = %q, want what the client sent", got)
	}
}

func TestWhatIsNoHTTPForAFunctionIsRefusedByTheRouter(t *testing.T) {
	odd := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n")
	})))
	c := Start(t, Caddyfile(`
{
	kubefaas {
		executor static {
			odd `+odd.Addr()+`
		}
	}
}
http://:{{.HTTP}} {
	kubefaas {
		trigger /* odd
	}
}`))
	for what, tt := range map[string]struct{ request, want string }{
		"a status that is none":    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 502"},
		"a tunnel":                 {"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", "HTTP/1.1 405"},
		"a target that is no path": {"GET mailto:x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
	} {
		if got := c.rawHead(t, tt.request); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %s", what, got, tt.want)
		}
	}
}

func TestNoContentTypeIsGuessed(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	})))
	c := proxyFor(t, f.Addr(), waysIn["handler"], "")
	resp, err := c.Client().Get(c.URL("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, ok := resp.Header["Content-Type"]; ok {
		t.Errorf("Content-Type = %q, want none, as the function sent none", got)
	}
}

func TestOtherUpstreamsKeepTheirFailover(t *testing.T) {
	dead, alive := NewFunction(t, Down()), NewFunction(t)
	c := Start(t, Caddyfile(`
http://:{{.HTTP}} {
	reverse_proxy `+dead.Addr()+` `+alive.Addr()+` {
		lb_policy first
		lb_retries 2
		fail_duration 10s
		transport kubefaas {
			retry {
				initial_interval 5ms
				max_attempts 3
			}
		}
	}
}`))
	resp, err := c.Client().Get(c.URL("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("got %s, want 200 of the upstream that is alive", resp.Status)
	}
}
