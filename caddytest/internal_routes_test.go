package caddytest

import (
	"fmt"
	"net/http"
	"testing"
)

// named are sites with functions of two namespaces.
func named(address func(id string) string) Config {
	return Caddyfile(fmt.Sprintf(`{
	kubefaas {
		executor static {
			hello %s
			prod/hello %s
			orders %s
		}
	}
}
http://on:{{.HTTP}} {
	kubefaas {
		internal
		trigger GET /orders orders
		trigger /kubefaas-function/claimed orders
	}
}
http://moved:{{.HTTP}} {
	kubefaas {
		internal /fn
	}
}
http://off:{{.HTTP}} {
	kubefaas {
		trigger /orders orders
	}
}
http://home:{{.HTTP}} {
	kubefaas {
		home
		trigger /orders orders
	}
}
http://home-claimed:{{.HTTP}} {
	kubefaas {
		home
		trigger / orders
	}
}
http://passing:{{.HTTP}} {
	route {
		kubefaas {
			pass_thru
			trigger GET /orders orders
		}
		respond "the next handler" 202
	}
}
`, address("hello"), address("prod/hello"), address("orders")))
}

func startNamed(t *testing.T) *Caddy {
	t.Helper()
	return Start(t, named(func(id string) string { return NewFunction(t, WithID(id)).Addr() }))
}

func TestInternalRoutesReachFunctionsByName(t *testing.T) {
	c := startNamed(t)
	for name, test := range map[string]struct{ host, method, path, function, uri string }{
		"the default namespace":                {"on", http.MethodGet, "/kubefaas-function/hello", "hello", "/"},
		"the default namespace by its name":    {"on", http.MethodGet, "/kubefaas-function/default/hello", "hello", "/"},
		"another namespace":                    {"on", http.MethodGet, "/kubefaas-function/prod/hello", "prod/hello", "/"},
		"any method":                           {"on", http.MethodDelete, "/kubefaas-function/hello", "hello", "/"},
		"a sub-path, with its query":           {"on", http.MethodPost, "/kubefaas-function/prod/hello/a/b%2Fc/?x=%201", "prod/hello", "/a/b%2Fc/?x=%201"},
		"a sub-path in the default namespace":  {"on", http.MethodGet, "/kubefaas-function/hello/a/b", "hello", "/a/b"},
		"a trigger goes before":                {"on", http.MethodGet, "/kubefaas-function/claimed", "orders", "/"},
		"a path of the configuration's choice": {"moved", http.MethodGet, "/fn/hello/x", "hello", "/x"},
	} {
		t.Run(name, func(t *testing.T) {
			e := c.ask(t, test.method, test.host, test.path).echo(t)
			if e.Function != test.function || e.URI != test.uri || e.Method != test.method {
				t.Errorf("got %s %s at %s, want %s %s at %s", e.Method, e.URI, e.Function, test.method, test.uri, test.function)
			}
		})
	}
}

func TestInternalRoutesAreOffByDefault(t *testing.T) {
	c := startNamed(t)
	for _, url := range [][2]string{
		{"off", "/kubefaas-function/hello"}, {"off", "/kubefaas-function/default/hello"},
		{"moved", "/kubefaas-function/hello"}, {"on", "/kubefaas-function"}, {"on", "/kubefaas-function/"},
		{"on", "/kubefaas-functions/hello"}, {"on", "/fn/hello"},
	} {
		if r := c.ask(t, http.MethodGet, url[0], url[1]); r.status != http.StatusNotFound || r.reason() != "no_route" {
			t.Errorf("%s%s: got %d %q, want 404 no_route", url[0], url[1], r.status, r.reason())
		}
	}
}

func TestHomeAnswersUnlessATriggerClaimsIt(t *testing.T) {
	c := startNamed(t)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		if r := c.ask(t, method, "home", "/"); r.status != http.StatusOK || r.body != "" {
			t.Errorf("%s /: got %d %q, want an empty 200", method, r.status, r.body)
		}
	}
	for name, got := range map[string]reply{
		"POST":                c.ask(t, http.MethodPost, "home", "/"),
		"another path":        c.ask(t, http.MethodGet, "home", "/x"),
		"a site without home": c.ask(t, http.MethodGet, "off", "/"),
	} {
		if got.status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", name, got.status)
		}
	}
	if e := c.ask(t, http.MethodGet, "home-claimed", "/").echo(t); e.Function != "orders" {
		t.Errorf("got %q at a home page that a trigger claims, want orders", e.Function)
	}
}

func TestPassThruHandsOnWhatNoTriggerClaims(t *testing.T) {
	c := startNamed(t)
	for _, path := range []string{"/", "/nothing", "/kubefaas-function/hello"} {
		r := c.ask(t, http.MethodGet, "passing", path)
		if r.status != http.StatusAccepted || r.body != "the next handler" || r.reason() != "" {
			t.Errorf("%s: got %d %q, want the next handler's 202", path, r.status, r.body)
		}
	}
	if e := c.ask(t, http.MethodGet, "passing", "/orders").echo(t); e.Function != "orders" {
		t.Errorf("got %q, want orders", e.Function)
	}
	if r := c.ask(t, http.MethodPost, "passing", "/orders"); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("got %d, Allow %q, want 405 and GET, HEAD: the path is a trigger's", r.status, r.header.Get("Allow"))
	}
}

func TestWrongMethodNamesTheRightOnes(t *testing.T) {
	c := startNamed(t)
	r := c.ask(t, http.MethodPut, "on", "/orders")
	if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "GET, HEAD" || r.reason() != "method_not_allowed" {
		t.Errorf("got %d %q, Allow %q; want 405 method_not_allowed, GET, HEAD", r.status, r.reason(), r.header.Get("Allow"))
	}
	if r := c.ask(t, http.MethodHead, "on", "/orders"); r.status != http.StatusOK || r.body != "" {
		t.Errorf("HEAD: got %d %q, want an empty 200 of the GET trigger", r.status, r.body)
	}
}
