package caddytest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

const proxied = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout 1s
	}
}
(proxy) {
	reverse_proxy {
		dynamic kubefaas {header.X-Function}
		transport kubefaas
	}
}
http://plain:{{.HTTP}} {
	import proxy
}
http://pages:{{.HTTP}} {
	import proxy
	handle_errors {
		respond "{err.status_code} {http.kubefaas.error.reason} page"
	}
}
`

// What reverse_proxy cannot reach is answered as the directive answers it.
func TestProxyTellsFailuresAsTheDirectiveDoes(t *testing.T) {
	p := startSites(t, proxied)
	f, dead := NewFunction(t), NewFunction(t, Down())
	p.ex.Answer("hello", executortest.At(f.Addr()))
	p.ex.Answer("dead", executortest.At(dead.Addr()))
	p.ex.Answer("limited", executortest.Fail(http.StatusTooManyRequests, "no place"))
	for _, test := range []struct {
		function string
		do       string
		status   int
		reason   string
		retry    string
	}{
		{"no name", "", 502, "no_function", ""},
		{"unknown", "", 502, "function_not_found", ""},
		{"limited", "", 429, "capacity_exceeded", "1"},
		{"dead", "", 502, "connection_refused", ""},
		{"hello", "abort", 502, "function_error", ""},
	} {
		t.Run(test.reason, func(t *testing.T) {
			header := []string{"X-Function", test.function}
			if test.do != "" {
				header = append(header, DoHeader, test.do)
			}
			plain := p.ask(t, http.MethodPost, "plain", "/", header...)
			if plain.status != test.status || plain.reason() != test.reason || plain.header.Get("Retry-After") != test.retry {
				t.Errorf("got %d %q, Retry-After %q, want %d %q, %q; body: %.200s",
					plain.status, plain.reason(), plain.header.Get("Retry-After"), test.status, test.reason, test.retry, plain.body)
			}
			if got := readProblem(t, plain); got.Status != test.status || got.Reason != test.reason {
				t.Errorf("got problem %+v, want status %d, reason %q", got, test.status, test.reason)
			}
			pages := p.ask(t, http.MethodPost, "pages", "/", header...)
			if want := fmt.Sprint(test.status, " ", test.reason, " page"); pages.status != test.status || pages.body != want {
				t.Errorf("with error routes: got %d %q, want %d %q", pages.status, pages.body, test.status, want)
			}
		})
	}
}
