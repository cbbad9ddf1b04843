package caddytest

import (
	"testing"
)

// trusting makes the neighbours of Caddy proxies that are believed; it closes
// the app's block for that.
const trusting = "}\nservers {\n\ttrusted_proxies static 127.0.0.1"

func TestForwardedHeadersCountFromTrustedProxiesOnly(t *testing.T) {
	f := NewFunction(t)
	sent := []string{
		"Forwarded", "for=192.0.2.1;host=first.example.com", "X-Forwarded-Host", "first.example.com",
		"X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https",
	}
	for name, test := range map[string]struct {
		app                          string
		sent                         []string
		forwarded, host, from, proto string
	}{
		"from anybody":                           {"", sent, "host=a:1;", "a:1", "127.0.0.1", "http"},
		"from a trusted proxy":                   {trusting, sent, "for=192.0.2.1;host=first.example.com", "first.example.com", "192.0.2.1, 127.0.0.1", "https"},
		"from a trusted proxy that says nothing": {trusting, nil, "host=a:1;", "a:1", "127.0.0.1", "http"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Start(t, headed(f.Addr(), test.app, headedRoutes))
			e, _ := c.mustDial(t).echo(t, "/exact/1", "a:1", test.sent...)
			wantHeader(t, e.Header, "Forwarded", test.forwarded)
			wantHeader(t, e.Header, "X-Forwarded-Host", test.host)
			wantHeader(t, e.Header, "X-Forwarded-For", test.from)
			wantHeader(t, e.Header, "X-Forwarded-Proto", test.proto)
		})
	}
}

// A Host may have bytes in it that mean something to Forwarded.
func TestForwardedQuotesTheHost(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	w := c.mustDial(t)
	for host, want := range map[string]string{
		"example.com":             "host=example.com;",
		"example.com:8080":        "host=example.com:8080;",
		"[2001:db8::1]":           `host="[2001:db8::1]";`,
		"[2001:db8::1]:8080":      `host="[2001:db8::1]:8080";`,
		"a;proto=https,for=[::1]": `host="a;proto=https,for=[::1]";`,
	} {
		e, _ := w.echo(t, "/exact/1", host)
		wantHeader(t, e.Header, "Forwarded", want)
		wantHeader(t, e.Header, "X-Forwarded-Host", host)
	}
}
