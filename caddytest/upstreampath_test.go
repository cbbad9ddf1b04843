package caddytest

import (
	"fmt"
	"strings"
	"testing"
)

func TestUpstreamPath(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	w := c.mustDial(t)
	for target, want := range map[string]string{
		"/exact/1?a=b":         "/?a=b",
		"/prefix?":             "/?",
		"/prefix/":             "/",
		"/prefix/a/b%2Fc/?x=y": "/a/b%2Fc/?x=y",
		"/prefix/%41%20b":      "/%41%20b",
		"/keep/a%2Fb?x":        "/keep/a%2Fb?x",
		"/strip/a":             "/",
		"/root/a/b?x":          "/?x",
	} {
		if e, _ := w.echo(t, target, "a"); e.URI != want {
			t.Errorf("%s: got %q at the function, want %q", target, e.URI, want)
		}
	}
	if e, _ := w.echo(t, "/host", "shop.example.com:81"); e.Host != "shop.example.com:81" {
		t.Errorf("with preserve_host: got host %q, want the client's", e.Host)
	}
}

func TestShortFormKeepsThePath(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, Caddyfile(fmt.Sprintf("{\n\tkubefaas {\n\t\texecutor static {\n\t\t\thello %s\n\t\t}\n\t}\n}\nhttp://:{{.HTTP}} {\n\tkubefaas /hello/* hello\n}\n", f.Addr())))
	if e, _ := c.mustDial(t).echo(t, "/hello/a%2Fb?x=1", "a"); e.URI != "/hello/a%2Fb?x=1" {
		t.Errorf("got %q at the function, want the path as it was", e.URI)
	}
}

func TestPathVariablesCannotEndALine(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", headedRoutes))
	w := c.mustDial(t)
	for sent, want := range map[string]string{
		"a%0d%0aX-Evil:%201": "a%0D%0AX-Evil:%201",
		"a%00b":              "a%00b",
		"a%7fb":              "a%7Fb",
		"a%09b":              "a\tb",
		"%c3%a9":             "é",
	} {
		e, _ := w.echo(t, "/exact/"+sent, "a")
		wantHeader(t, e.Header, "X-Kubefaas-Params-Id", want)
		wantHeader(t, e.Header, "X-Evil")
		e, _ = w.echo(t, "/any/x/"+sent, "a")
		wantHeader(t, e.Header, "X-Kubefaas-Params-Rest", strings.Replace("x/"+want, "x/a%", "x%2Fa%", 1))
	}
}

func TestEncodedPathGivesVariablesAsTheyStandInTheURL(t *testing.T) {
	f := NewFunction(t)
	c := Start(t, headed(f.Addr(), "", "encoded_path\n"+headedRoutes))
	e, _ := c.mustDial(t).echo(t, "/exact/a%2Fb%20%C3%A9%0a", "a")
	wantHeader(t, e.Header, "X-Kubefaas-Params-Id", "a%2Fb%20%C3%A9%0a")
}
