package caddytest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// headed is a site of one function, with lines of the app's and the site's.
func headed(addr, app, site string) Config {
	return Caddyfile(fmt.Sprintf(`{
	kubefaas {
		executor static {
			hello %s
		}
		function hello {
			uid u-1
			resource_version 12
		}
		%s
	}
}
http://:{{.HTTP}} {
	kubefaas {
		%s
	}
}
`, addr, app, site))
}

const headedRoutes = `trigger /exact/{id} hello
		trigger /prefix/* hello
		trigger /keep/{id} hello {
			upstream_path keep
		}
		trigger /strip/{id} hello {
			upstream_path strip
		}
		trigger /root/* hello {
			upstream_path root
		}
		trigger /host hello {
			preserve_host
		}
		trigger /any/{rest:[^!]*} hello`

// echo sends a request as it is written, and returns what the function saw.
func (w *wire) echo(t *testing.T, target, host string, header ...string) (Echo, reply) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\n", target, host)
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	if _, err := io.WriteString(w.conn, b.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	r, err := w.receive()
	if err != nil {
		t.Fatal(err)
	}
	return r.echo(t), r
}

func wantHeader(t *testing.T, h http.Header, name string, want ...string) {
	t.Helper()
	if got := h[name]; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got %s %q, want %q", name, got, want)
	}
}

func TestFunctionIsToldWhatItIsCalledAndHow(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	e, _ := c.mustDial(t).echo(t, "/exact/a%2Fb%20c?q=1&q=%202", "shop.example.com")
	wantHeader(t, e.Header, "X-Kubefaas-Params-Id", "a/b c")
	wantHeader(t, e.Header, "X-Kubefaas-Full-Url", "/exact/a%2Fb%20c?q=1&q=%202")
	wantHeader(t, e.Header, "X-Kubefaas-Function-Uid", "u-1")
	wantHeader(t, e.Header, "X-Kubefaas-Function-Name", "hello")
	wantHeader(t, e.Header, "X-Kubefaas-Function-Namespace", "default")
	wantHeader(t, e.Header, "X-Kubefaas-Function-Resourceversion", "12")
	wantHeader(t, e.Header, "Forwarded", "host=shop.example.com;")
	wantHeader(t, e.Header, "X-Forwarded-Host", "shop.example.com")
	wantHeader(t, e.Header, "X-Forwarded-For", "127.0.0.1")
	wantHeader(t, e.Header, "X-Forwarded-Proto", "http")
	for _, name := range []string{"User-Agent", "Accept-Encoding", "Accept", "Connection"} {
		if got, ok := e.Header[name]; ok {
			t.Errorf("got %s %q, want none: the client sent none", name, got)
		}
	}
	if e.URI != "/?q=1&q=%202" || e.Host != f.Addr() {
		t.Errorf("got URI %q at host %q, want /?q=1&q=%%202 at %s", e.URI, e.Host, f.Addr())
	}
}

func TestForgedHeadersAreRemoved(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	e, _ := c.mustDial(t).echo(t, "/exact/1", "a",
		"X-Kubefaas-Params-Admin", "true", "x-kubefaas-params-id", "forged", "X-Kubefaas-Function-Name", "forged",
		"X-Kubefaas-Function-Anything", "forged", "X-Kubefaas-Full-Url", "/forged",
		"X_Kubefaas_Params_Admin", "true", "X-Kubefaas-Other", "passed", "User-Agent", "mine")
	wantHeader(t, e.Header, "X-Kubefaas-Params-Id", "1")
	wantHeader(t, e.Header, "X-Kubefaas-Full-Url", "/exact/1")
	wantHeader(t, e.Header, "X-Kubefaas-Function-Name", "hello")
	wantHeader(t, e.Header, "X-Kubefaas-Params-Admin")
	wantHeader(t, e.Header, "X_kubefaas_params_admin")
	wantHeader(t, e.Header, "X-Kubefaas-Function-Anything")
	wantHeader(t, e.Header, "X-Kubefaas-Other", "passed")
	wantHeader(t, e.Header, "User-Agent", "mine")
}

func TestHeaderPrefixReplacesTheWordInEveryHeader(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "header_prefix Acme", "server_timing\n"+headedRoutes))
	w := c.mustDial(t)
	e, r := w.echo(t, "/exact/1", "a", "X-Acme-Params-Admin", "true", "X-Kubefaas-Params-Id", "not ours")
	wantHeader(t, e.Header, "X-Acme-Params-Id", "1")
	wantHeader(t, e.Header, "X-Acme-Full-Url", "/exact/1")
	wantHeader(t, e.Header, "X-Acme-Function-Uid", "u-1")
	wantHeader(t, e.Header, "X-Acme-Function-Name", "hello")
	wantHeader(t, e.Header, "X-Acme-Function-Namespace", function.DefaultNamespace)
	wantHeader(t, e.Header, "X-Acme-Function-Resourceversion", "12")
	wantHeader(t, e.Header, "X-Acme-Params-Admin")
	wantHeader(t, e.Header, "X-Kubefaas-Params-Id", "not ours")
	if cold := r.header.Get("X-Acme-Cold"); cold != "true" || r.header.Get("X-Kubefaas-Cold") != "" {
		t.Errorf("got X-Acme-Cold %q, want true, and none with the usual prefix", cold)
	}
	failed, err := w.do(http.MethodGet, "/nothing", "", "")
	if err != nil || failed.header.Get("X-Acme-Error") != "no_route" || failed.reason() != "" {
		t.Errorf("got X-Acme-Error %q and %q, %v; want no_route by the new prefix only", failed.header.Get("X-Acme-Error"), failed.reason(), err)
	}
}

func TestRequestIDIsPassedOrMade(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	w := c.mustDial(t)
	e, r := w.echo(t, "/exact/1", "a", "X-Request-Id", "mine")
	wantHeader(t, e.Header, "X-Request-Id", "mine")
	wantHeader(t, r.header, "X-Request-Id", "mine")
	e, r = w.echo(t, "/exact/1", "a")
	id := e.Header.Get("X-Request-Id")
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("got X-Request-Id %q, want a UUID", id)
	}
	wantHeader(t, r.header, "X-Request-Id", id)
}

func TestHopByHopHeadersEndAtTheRouter(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "X-Answer-Hop")
		w.Header().Set("X-Answer-Hop", "1")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Proxy-Authenticate", "Basic")
		w.Header().Set("X-Saw", fmt.Sprint(r.Header))
	})))
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	w := c.mustDial(t)
	r, err := w.do(http.MethodGet, "/exact/1", "", "",
		"Connection", "X-Hop, keep-alive", "X-Hop", "1", "Keep-Alive", "5", "Proxy-Authorization", "Basic x",
		"Te", "gzip, trailers", "Upgrade", "websocket", "X-End", "1")
	if err != nil {
		t.Fatal(err)
	}
	saw := r.header.Get("X-Saw")
	for _, name := range []string{"X-Hop:", "Keep-Alive:", "Proxy-Authorization:", "Upgrade:", "gzip"} {
		if strings.Contains(saw, name) {
			t.Errorf("got %s at the function, want none: %s", name, saw)
		}
	}
	if !strings.Contains(saw, "X-End:[1]") || !strings.Contains(saw, "Te:[trailers]") {
		t.Errorf("got %s at the function, want X-End and Te: trailers", saw)
	}
	for _, name := range []string{"X-Answer-Hop", "Keep-Alive", "Proxy-Authenticate"} {
		if got, ok := r.header[name]; ok {
			t.Errorf("got %s %q at the client, want none", name, got)
		}
	}
}

func TestCompressionPassesUntouched(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, strings.Repeat("hello ", 1000))
	_ = z.Close()
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Saw", fmt.Sprintf("%q", r.Header["Accept-Encoding"]))
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	})))
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	for _, accept := range []string{"", "gzip", "br;q=1, gzip;q=0.5"} {
		var header []string
		want := "[]"
		if accept != "" {
			header, want = []string{"Accept-Encoding", accept}, fmt.Sprintf("%q", []string{accept})
		}
		r := c.ask(t, http.MethodGet, "a", "/exact/1", header...)
		if r.body != packed.String() || r.header.Get("Content-Encoding") != "gzip" || r.header.Get("X-Saw") != want {
			t.Errorf("Accept-Encoding %q: got %d bytes, Content-Encoding %q, and %s at the function, want the %d as they were, gzip and %s",
				accept, len(r.body), r.header.Get("Content-Encoding"), r.header.Get("X-Saw"), packed.Len(), want)
		}
	}
}

func TestResponseIsRelayedAsItIs(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Twice"] = []string{"1", "2"}
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Server", "mine")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})))
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.URL("/exact/1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusTeapot || string(body) != "short and stout" || resp.Header.Get("X-Kubefaas-Error") != "" {
		t.Errorf("got %d %q, reason %q; want the function's own 418", resp.StatusCode, body, resp.Header.Get("X-Kubefaas-Error"))
	}
	wantHeader(t, resp.Header, "X-Twice", "1", "2")
	wantHeader(t, resp.Header, "Set-Cookie", "a=b")
	wantHeader(t, resp.Header, "Server", "mine")
	if got := f.Requests(); got != 1 {
		t.Errorf("got the request executed %d times, want once: a function's own error is no reason to try again", got)
	}
}
