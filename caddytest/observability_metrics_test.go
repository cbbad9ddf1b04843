package caddytest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

const measured = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout 2s
	}
}
http://:{{.HTTP}} {
	kubefaas {
		internal
		trigger /metered/{id} metered {
			host *.example.com
		}
		trigger /metered-broken metered-broken
	}
}
`

// metricNames are all of the plugin's, and whose labels.
var metricNames = map[string][]string{
	"kubefaas_function_calls_total":         callLabels,
	"kubefaas_function_errors_total":        callLabels,
	"kubefaas_function_duration_seconds":    callLabels,
	"kubefaas_function_overhead_seconds":    callLabels,
	"kubefaas_function_response_size_bytes": callLabels,
	"kubefaas_cold_starts_total":            {"name", "namespace"},
	"kubefaas_executor_requests_total":      {"call", "code"},
	"kubefaas_attempts_total":               {"result"},
	"kubefaas_waiting_requests":             {},
	"kubefaas_addresses":                    {},
	"kubefaas_failures_total":               {"reason"},
	"kubefaas_tap_errors_total":             {},
}

// callLabels are what canary controllers query, sorted.
var callLabels = []string{"cached", "code", "host", "method", "name", "namespace", "path"}

// startMeasured starts a platform on which everything has been counted that
// can be.
func startMeasured(t *testing.T) *platform {
	t.Helper()
	p := startSites(t, measured, Process())
	f := NewFunction(t)
	p.ex.Answer("metered", executortest.At(f.Addr()))
	p.ex.Answer("ghost", executortest.At(f.Addr()))
	p.ex.Answer("metered-broken", executortest.Fail(http.StatusInternalServerError, "no"))
	p.ask(t, http.MethodGet, "shop.example.com", "/metered/1")
	p.ask(t, http.MethodGet, "shop.example.com", "/metered/2")
	p.ask(t, "BREW", "shop.example.com", "/metered/3")
	p.ask(t, http.MethodGet, "shop.example.com", "/metered/4", DoHeader, "status?code=503")
	p.ask(t, http.MethodGet, "shop.example.com", "/metered-broken")
	p.ask(t, http.MethodGet, "shop.example.com", "/kubefaas-function/ghost")
	return p
}

func TestMetricsHaveTheirNamesAndLabels(t *testing.T) {
	m := startMeasured(t).Metrics(t)
	var want []string
	for name, labels := range metricNames {
		want = append(want, name)
		family := m[name]
		if family == nil {
			t.Errorf("got no %s, want it", name)
			continue
		}
		for _, series := range family.Metric {
			got := make([]string, 0, len(series.Label))
			for _, l := range series.Label {
				got = append(got, l.GetName())
			}
			slices.Sort(got)
			if !slices.Equal(got, labels) {
				t.Errorf("%s: got labels %q, want %q", name, got, labels)
			}
		}
	}
	slices.Sort(want)
	if got := m.Names("kubefaas_"); !slices.Equal(got, want) {
		t.Errorf("got metrics %q, want %q", got, want)
	}
}

func TestMetricsCountWhatHappens(t *testing.T) {
	m := startMeasured(t).Metrics(t)
	of := func(name string, more ...string) []string {
		return append([]string{"namespace", "default", "name", name, "host", "*.example.com", "path", "/metered/{id}"}, more...)
	}
	for _, test := range []struct {
		what   string
		metric string
		labels []string
		want   float64
	}{
		{"the first call", "kubefaas_function_calls_total", of("metered", "cached", "false", "method", "GET", "code", "200"), 1},
		{"a warm call", "kubefaas_function_calls_total", of("metered", "cached", "true", "method", "GET", "code", "200"), 1},
		{"an unknown method", "kubefaas_function_calls_total", of("metered", "method", "_other"), 1},
		{"a function's own error", "kubefaas_function_errors_total", of("metered", "code", "503"), 1},
		{"no other errors of its", "kubefaas_function_errors_total", of("metered"), 1},
		{"a failure of the router's", "kubefaas_function_errors_total", []string{"name", "metered-broken", "host", "", "code", "502"}, 1},
		{"a function that only a request named", "kubefaas_function_calls_total", []string{"name", "_other", "namespace", "_other", "path", "/kubefaas-function/*", "code", "200"}, 1},
		{"durations", "kubefaas_function_duration_seconds", of("metered"), 4},
		{"overheads", "kubefaas_function_overhead_seconds", of("metered"), 4},
		{"sizes", "kubefaas_function_response_size_bytes", of("metered"), 4},
		{"cold starts", "kubefaas_cold_starts_total", []string{"name", "metered"}, 1},
		{"a cold start of a function that only a request named", "kubefaas_cold_starts_total", []string{"name", "_other", "namespace", "_other"}, 1},
		{"the executor's calls", "kubefaas_executor_requests_total", []string{"call", "getServiceForFunction", "code", "200"}, 2},
		{"the executor's errors", "kubefaas_executor_requests_total", []string{"call", "getServiceForFunction", "code", "500"}, 1},
		{"attempts", "kubefaas_attempts_total", []string{"result", "sent"}, 5},
		{"failures", "kubefaas_failures_total", []string{"reason", "executor_error"}, 1},
		{"addresses", "kubefaas_addresses", nil, 2},
		{"waiting requests", "kubefaas_waiting_requests", nil, 0},
		{"taps that failed", "kubefaas_tap_errors_total", nil, 0},
	} {
		if got := m.Sum(test.metric, test.labels...); got != test.want {
			t.Errorf("%s: got %s%q %v, want %v", test.what, test.metric, test.labels, got, test.want)
		}
	}
	for name := range metricNames {
		for _, series := range m[name].GetMetric() {
			if text := series.String(); strings.Contains(text, "ghost") || strings.Contains(text, "shop.example.com") || strings.Contains(text, "BREW") {
				t.Errorf("%s: got labels of what only a request said: %s", name, text)
			}
		}
	}
}

// Canary controllers query the first five, so their names are not ours to mend.
func TestMetricsAreLintClean(t *testing.T) {
	m := startMeasured(t).Metrics(t)
	var families []*dto.MetricFamily
	for _, name := range m.Names("kubefaas_") {
		families = append(families, m[name])
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("got promlint's %q about %s, want nothing", problem.Text, problem.Metric)
	}
}

func TestCountersSurviveReloads(t *testing.T) {
	p := startMeasured(t)
	before := p.Metrics(t)
	for n := range 3 {
		text := strings.Replace(measured, "internal", fmt.Sprintf("internal\ntrigger /more-%d metered", n), 1)
		if err := p.Reload(t, p.sites(text)); err != nil {
			t.Fatal(err)
		}
		p.ask(t, http.MethodGet, "shop.example.com", "/metered/5")
		p.ask(t, http.MethodGet, "shop.example.com", "/nothing")
		after := p.Metrics(t)
		for name := range metricNames {
			for _, series := range before[name].GetMetric() {
				var labels []string
				for _, l := range series.Label {
					labels = append(labels, l.GetName(), l.GetValue())
				}
				if was, is := before.Sum(name, labels...), after.Sum(name, labels...); is < was {
					t.Errorf("after reload %d: %s%q went from %v to %v", n, name, labels, was, is)
				}
			}
		}
		warm := []string{"name", "metered", "cached", "true", "code", "200", "method", "GET"}
		if was, is := before.Sum("kubefaas_function_calls_total", warm...), after.Sum("kubefaas_function_calls_total", warm...); is != was+1 {
			t.Errorf("after reload %d: got %v warm calls, want %v", n, is, was+1)
		}
		before = after
	}
}

func TestWaitingRequestsAreAGauge(t *testing.T) {
	p := startSites(t, strings.Replace(measured, "cold_start_timeout 2s", "cold_start_timeout 1m", 1))
	f := NewFunction(t)
	release := make(chan struct{})
	p.ex.Answer("metered-broken", executortest.Answer{Text: f.Addr(), Until: release})
	wires := p.dialWires(t, 3)
	sendAll(t, wires, http.MethodGet, "/metered-broken", "")
	p.awaitWaiting(t, 3)
	close(release)
	receiveAll(t, wires)
	p.awaitWaiting(t, 0)
	if got := p.Metrics(t).Sum("kubefaas_addresses"); got != 1 {
		t.Errorf("got %v addresses, want 1", got)
	}
}
