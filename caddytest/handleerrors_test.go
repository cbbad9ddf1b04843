package caddytest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

const paged = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout 2s
	}
}
(routes) {
	trigger /broken/{id} broken
	trigger GET /get-only broken
}
http://paged:{{.HTTP}} {
	log
	kubefaas {
		import routes
	}
	handle_errors 404 405 {
		respond "none: {http.kubefaas.error.reason}"
	}
	handle_errors {
		header X-Page yes
		respond "{http.kubefaas.error.reason}|{http.kubefaas.namespace}|{http.kubefaas.function}|{http.kubefaas.trigger}|{http.kubefaas.params.id}|{http.kubefaas.attempts}|{http.kubefaas.cold_start}|{err.status_code}" 599
	}
}
http://some:{{.HTTP}} {
	kubefaas {
		import routes
	}
	handle_errors 404 {
		respond "lost"
	}
}
http://elsewhere:{{.HTTP}} {
	kubefaas {
		import routes
	}
	handle_errors {
		@html header Accept *text/html*
		handle @html {
			respond "<p>{http.kubefaas.error.reason}</p>"
		}
	}
}
http://none:{{.HTTP}} {
	kubefaas {
		import routes
	}
}
`

func TestHandleErrorsGetsTheFailuresThatItAsksFor(t *testing.T) {
	p := startSites(t, paged)
	p.ex.Answer("broken", executortest.Fail(http.StatusInternalServerError, "no"))
	const isProblem = "problem"
	for _, test := range []struct {
		name, host, path string
		header           []string
		status           int
		body             string
	}{
		{"a site with pages for all", "paged", "/broken/7", nil, 599, "executor_error|default|broken|/broken/{id}|7|0|true|502"},
		{"a page for some statuses goes before", "paged", "/nothing", nil, 404, "none: no_route"},
		{"another of them", "paged", "/get-only", nil, 405, "none: method_not_allowed"},
		{"a site with a page for 404", "some", "/nothing", nil, 404, "lost"},
		{"its other failures", "some", "/broken/7", nil, 502, isProblem},
		{"pages for browsers", "elsewhere", "/broken/7", []string{"Accept", "text/html,*/*"}, 502, "<p>executor_error</p>"},
		{"and for others the problem", "elsewhere", "/broken/7", []string{"Accept", "application/json"}, 502, isProblem},
		{"a site without pages on the same server", "none", "/broken/7", nil, 502, isProblem},
		{"and its 404", "none", "/nothing", nil, 404, isProblem},
	} {
		t.Run(test.name, func(t *testing.T) {
			method := http.MethodGet
			if test.path == "/get-only" {
				method = http.MethodPost
			}
			r := p.ask(t, method, test.host, test.path, test.header...)
			// The first to fail waited for the executor; the rest are told.
			body := strings.Replace(r.body, "|0|false|", "|0|true|", 1)
			if r.status != test.status || test.body != isProblem && body != test.body {
				t.Errorf("got %d %q, want %d %q", r.status, r.body, test.status, test.body)
			}
			if test.body == isProblem {
				if got := readProblem(t, r); got.Status != test.status || got.Reason != r.reason() {
					t.Errorf("got problem %+v, want status %d and reason %q", got, test.status, r.reason())
				}
			}
			if r.reason() == "" || r.header.Get("X-Request-Id") == "" {
				t.Errorf("got X-Kubefaas-Error %q, X-Request-Id %q, want both", r.reason(), r.header.Get("X-Request-Id"))
			}
			if method == http.MethodPost && r.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("got Allow %q, want GET, HEAD", r.header.Get("Allow"))
			}
		})
	}
	if entry := p.accessLog(t, `"uri":"/broken/7"`); entry["reason"] != "executor_error" || entry["status"] != 599.0 || entry["function"] != "broken" {
		t.Errorf("got status %v, reason %v, function %v in the access log, want the page's 599, executor_error, broken",
			entry["status"], entry["reason"], entry["function"])
	}
}

// A function's own failure is an answer, and no business of the error routes.
func TestHandleErrorsLeavesFunctionsOwnErrorsAlone(t *testing.T) {
	p := startSites(t, paged)
	f := NewFunction(t)
	p.ex.Answer("broken", executortest.At(f.Addr()))
	if r := p.ask(t, http.MethodGet, "paged", "/broken/7", DoHeader, "status?code=503"); r.status != 503 || r.body != "" || r.reason() != "" {
		t.Errorf("got %d %q, reason %q, want the function's own empty 503", r.status, r.body, r.reason())
	}
}

// The log has a line for each failure of the platform's, none for a client's
// mistake, and Caddy's own for those that error routes answer.
func TestFailuresAreLogged(t *testing.T) {
	p := startSites(t, paged)
	p.ex.Answer("broken", executortest.Fail(http.StatusInternalServerError, "secret text"))
	p.ask(t, http.MethodGet, "none", "/broken/7", "X-Request-Id", "id-1")
	entry := p.WaitLog(t, "request failed", patience)
	for field, want := range map[string]any{
		"level": "error", "reason": "executor_error", "status": 502.0, "function": "default/broken", "trigger": "/broken/{id}", "request_id": "id-1",
	} {
		if entry.Fields[field] != want {
			t.Errorf("got %s %v in the log, want %v", field, entry.Fields[field], want)
		}
	}
	if !strings.Contains(entry.Raw, "secret text") {
		t.Errorf("got %s, want the executor's own text in the log", entry.Raw)
	}
	p.ask(t, http.MethodGet, "none", "/nothing")
	for _, line := range p.pluginLog() {
		if strings.Contains(line, "no_route") {
			t.Errorf("got %s for a client's mistake, want nothing above debug", line)
		}
	}
}
