package caddytest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

const logged = `{
	kubefaas {
		executor http {{.Executor}}
	}
}
http://:{{.HTTP}} {
	log
	log_append p_function {http.kubefaas.function}
	log_append p_namespace {http.kubefaas.namespace}
	log_append p_trigger {http.kubefaas.trigger}
	log_append p_id {http.kubefaas.params.id}
	log_append p_address {http.kubefaas.address}
	log_append p_attempts {http.kubefaas.attempts}
	log_append p_cold {http.kubefaas.cold_start}
	log_append p_reason {http.kubefaas.error.reason}
	kubefaas {
		trigger GET /orders/{id} prod/orders {
			name order
		}
		trigger /broken broken
		trigger /unnamed/* prod/orders
	}
}
`

func TestAccessLogSaysWhereARequestWent(t *testing.T) {
	p := startSites(t, logged)
	f := NewFunction(t)
	p.ex.Answer("prod/orders", executortest.At(f.Addr()))
	p.ex.Answer("broken", executortest.Fail(http.StatusInternalServerError, "no"))
	type entry struct {
		status                                            int
		function, namespace, trigger, id, address, reason string
		attempts                                          int
		cold                                              bool
	}
	for _, test := range []struct {
		name, method, uri string
		want              entry
	}{
		{"a cold request", "GET", "/orders/a%2Fb", entry{200, "orders", "prod", "order", "a/b", f.Addr(), "", 1, true}},
		{"a warm request", "GET", "/orders/7", entry{200, "orders", "prod", "order", "7", f.Addr(), "", 1, false}},
		{"a trigger without a name", "GET", "/unnamed/x", entry{200, "orders", "prod", "/unnamed/*", "", f.Addr(), "", 1, false}},
		{"a failure", "GET", "/broken", entry{502, "broken", "default", "/broken", "", "", "executor_error", 0, true}},
		{"no route", "GET", "/nothing", entry{404, "", "", "", "", "", "no_route", 0, false}},
		{"a wrong method", "PUT", "/orders/8", entry{405, "", "", "", "", "", "method_not_allowed", 0, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.ask(t, test.method, "a", test.uri)
			got := p.accessLog(t, `"uri":"`+test.uri+`"`)
			want := test.want
			for field, value := range map[string]any{
				"status": float64(want.status), "function": want.function, "namespace": want.namespace, "trigger": want.trigger,
				"address": want.address, "attempts": float64(want.attempts), "cold": want.cold, "reason": want.reason,
				"p_function": want.function, "p_namespace": want.namespace, "p_trigger": want.trigger,
				"p_address": want.address, "p_attempts": float64(want.attempts), "p_cold": want.cold, "p_reason": want.reason,
			} {
				if got[field] != value {
					t.Errorf("got %s %v in the access log, want %v", field, got[field], value)
				}
			}
			if id := got["p_id"]; id != want.id && (id != nil || want.id != "") {
				t.Errorf("got p_id %v in the access log, want %q", id, want.id)
			}
			if phases, ok := got["kubefaas_ms"].(map[string]any); !ok || len(phases) != len(phaseNames) {
				t.Errorf("got phases %v in the access log, want %q", got["kubefaas_ms"], phaseNames)
			}
		})
	}
}

// A response that breaks off has its status already; the log says why it broke.
func TestAccessLogSaysThatAResponseBrokeOff(t *testing.T) {
	p := startSites(t, logged)
	f := NewFunction(t)
	p.ex.Answer("prod/orders", executortest.At(f.Addr()))
	w := p.mustDial(t)
	if r, err := w.do(http.MethodGet, "/orders/half", "", "", DoHeader, "abort?after=10"); err == nil {
		t.Errorf("got a whole answer %d %q, want one that breaks off", r.status, r.body)
	}
	if got := p.accessLog(t, "/orders/half"); got["reason"] != "function_error" || got["status"] != 200.0 {
		t.Errorf("got status %v, reason %v, want 200 function_error", got["status"], got["reason"])
	}
}

// What becomes of a function is one line each at info; a warm request is none.
func TestLogTellsOfColdStartsAndOfNoWarmRequest(t *testing.T) {
	p := startPlatform(t, "", triggersFor("hello"))
	a, b := NewFunction(t), NewFunction(t)
	p.ex.Answer("hello", executortest.At(a.Addr()))
	p.once(t, http.MethodGet, "/hello", "", "")
	if got := p.WaitLog(t, "starting function", patience); got.Level != "info" || got.Fields["function"] != "default/hello" {
		t.Errorf("got %s, want info and the function", got.Raw)
	}
	started := p.WaitLog(t, "function started", patience)
	for _, field := range []string{"start", "dial", "total"} {
		if _, ok := started.Fields[field].(float64); !ok || started.Level != "info" || started.Fields["address"] != a.Addr() {
			t.Errorf("got %s, want info, the address, and %s", started.Raw, field)
		}
	}

	before := len(p.pluginLog())
	for range 20 {
		p.once(t, http.MethodGet, "/hello", "", "")
	}
	if got := p.pluginLog()[before:]; len(got) > 0 {
		t.Errorf("got lines %q for warm requests, want none", got)
	}

	a.Kill()
	p.ex.Answer("hello", executortest.At(b.Addr()))
	p.once(t, http.MethodGet, "/hello", "", "")
	if got := p.WaitLog(t, "address invalidated", patience); got.Level != "info" || got.Fields["address"] != a.Addr() || fmt.Sprint(got.Fields["reason"]) == "" {
		t.Errorf("got %s, want info, the address and the reason", got.Raw)
	}
}

// pluginLog are the plugin's own lines.
func (p *platform) pluginLog() []string {
	var lines []string
	for _, entry := range p.Logs() {
		if entry.Logger == "kubefaas" || entry.Logger == "http.handlers.kubefaas" {
			lines = append(lines, entry.Raw)
		}
	}
	return lines
}
