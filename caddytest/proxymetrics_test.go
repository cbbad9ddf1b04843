package caddytest

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

const proxiedSites = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout 2s
	}
}
http://:{{.HTTP}} {
	log
	log_append p_function {http.kubefaas.function}
	log_append p_address {http.kubefaas.address}
	log_append p_attempts {http.kubefaas.attempts}
	log_append p_cold {http.kubefaas.cold_start}
	log_append p_reason {http.kubefaas.error.reason}
	reverse_proxy /proxied {
		dynamic kubefaas proxied
		transport kubefaas
	}
	reverse_proxy /proxied-broken {
		dynamic kubefaas prod/proxied-broken
		transport kubefaas
	}
	reverse_proxy /named* {
		dynamic kubefaas {header.X-Function}
		transport kubefaas
	}
	reverse_proxy /plain {
		dynamic kubefaas plain
	}
}
`

// startProxied starts a platform of which reverse_proxy has asked all there is.
func startProxied(t *testing.T) *platform {
	t.Helper()
	p := startSites(t, proxiedSites, Process())
	f := NewFunction(t)
	for _, name := range []string{"proxied", "plain", "ghost"} {
		p.ex.Answer(name, executortest.At(f.Addr()))
	}
	p.ex.Answer("prod/proxied-broken", executortest.Fail(http.StatusInternalServerError, "no"))
	p.ask(t, http.MethodGet, "a", "/proxied?1")
	p.ask(t, http.MethodGet, "a", "/proxied?2")
	p.ask(t, http.MethodGet, "a", "/proxied?3", DoHeader, "status?code=503")
	p.ask(t, http.MethodGet, "a", "/proxied-broken")
	p.ask(t, http.MethodGet, "a", "/named?4", "X-Function", "ghost")
	p.ask(t, http.MethodGet, "a", "/named?5", "X-Function", "no/such/name")
	p.ask(t, http.MethodGet, "a", "/plain")
	return p
}

func TestRequestsThroughReverseProxyAreCounted(t *testing.T) {
	p := startProxied(t)
	m := p.Metrics(t)
	of := func(name string, more ...string) []string {
		return append([]string{"name", name, "host", "", "path", ""}, more...)
	}
	for _, test := range []struct {
		what   string
		metric string
		labels []string
		want   float64
	}{
		{"the first call", "kubefaas_function_calls_total", of("proxied", "cached", "false", "method", "GET", "code", "200"), 1},
		{"a warm call", "kubefaas_function_calls_total", of("proxied", "cached", "true", "method", "GET", "code", "200"), 1},
		{"a function's own error", "kubefaas_function_errors_total", of("proxied", "code", "503"), 1},
		{"no other errors of its", "kubefaas_function_errors_total", of("proxied"), 1},
		{"a failure of the router's", "kubefaas_function_errors_total", of("proxied-broken", "namespace", "prod", "code", "502"), 1},
		{"a function that only a request named", "kubefaas_function_calls_total", of("_other", "namespace", "_other", "code", "200"), 1},
		{"nothing of another transport's responses", "kubefaas_function_calls_total", of("plain"), 0},
		{"durations", "kubefaas_function_duration_seconds", of("proxied"), 3},
		{"overheads", "kubefaas_function_overhead_seconds", of("proxied"), 3},
		{"sizes", "kubefaas_function_response_size_bytes", of("proxied"), 3},
	} {
		if got := m.Sum(test.metric, test.labels...); got != test.want {
			t.Errorf("%s: got %s%q %v, want %v", test.what, test.metric, test.labels, got, test.want)
		}
	}
	for _, series := range m["kubefaas_function_response_size_bytes"].GetMetric() {
		if text := series.String(); strings.Contains(text, `"proxied"`) && strings.Contains(text, `"200"`) && series.GetHistogram().GetSampleSum() < 100 {
			t.Errorf("got sizes that sum up to less than the echo of a request: %s", text)
		}
	}
	if f := p.functionNamed(t, "default/proxied"); f.Calls != 3 || f.Errors != 1 {
		t.Errorf("got %d calls and %d errors on the admin endpoint, want 3 and 1", f.Calls, f.Errors)
	}
}

func TestAccessLogSaysWhereRequestsThroughReverseProxyWent(t *testing.T) {
	p := startProxied(t)
	for uri, want := range map[string]struct {
		function, reason string
		attempts         float64
		cold, address    bool
	}{
		"/proxied?1":      {"proxied", "", 1, true, true},
		"/proxied?2":      {"proxied", "", 1, false, true},
		"/proxied-broken": {"proxied-broken", "executor_error", 0, true, false},
		"/named?4":        {"ghost", "", 1, true, true},
		"/named?5":        {"", "no_function", 0, false, false},
		"/plain":          {"plain", "", 0, true, true},
	} {
		got := p.accessLog(t, `"uri":"`+uri+`"`)
		for field, value := range map[string]any{
			"function": want.function, "reason": want.reason, "attempts": want.attempts, "cold": want.cold,
			"p_function": want.function, "p_reason": want.reason, "p_attempts": want.attempts, "p_cold": want.cold,
		} {
			if got[field] != value {
				t.Errorf("%s: got %s %v in the access log, want %v", uri, field, got[field], value)
			}
		}
		if address, _ := got["p_address"].(string); got["address"] != address || (address != "") != want.address {
			t.Errorf("%s: got address %v and %v in the access log, want one: %v", uri, got["address"], got["p_address"], want.address)
		}
	}
}

// What happens after the head of a response was sent is seen there only.
func TestAccessLogSaysHowResponsesThroughReverseProxyEnded(t *testing.T) {
	p := startProxied(t)
	before := p.Metrics(t)
	w := p.mustDial(t)
	if r, err := w.do(http.MethodGet, "/proxied?half", "", "", DoHeader, "abort?after=10"); err == nil {
		t.Errorf("got a whole answer %d %q, want one that breaks off", r.status, r.body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	socket, err := p.dialSocket(ctx, "/proxied?socket")
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	for uri, want := range map[string]struct {
		status float64
		reason string
	}{
		"/proxied?half":   {200, "function_error"},
		"/proxied?socket": {101, ""},
	} {
		got := p.accessLog(t, `"uri":"`+uri+`"`)
		if got["function"] != "proxied" || got["status"] != want.status || got["reason"] != want.reason {
			t.Errorf("%s: got function %v, status %v, reason %v in the access log; want proxied, %v, %q",
				uri, got["function"], got["status"], got["reason"], want.status, want.reason)
		}
	}
	after := p.Metrics(t)
	failed := []string{"reason", "function_error"}
	if was, is := before.Sum("kubefaas_failures_total", failed...), after.Sum("kubefaas_failures_total", failed...); is != was+1 {
		t.Errorf("got %v failures %q, want one more than %v", is, failed, was)
	}
}
