package kubefaas

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// touchMetrics gives each collector a series, so that it is gathered.
func touchMetrics() {
	known := &function.Function{Ref: function.Ref{Namespace: "default", Name: "linted"}}
	m := new(meters).get(meterKey{function: known, method: http.MethodGet, code: 500}, known.Ref, "/linted")
	m.calls.Inc()
	m.errors.Inc()
	m.duration.Observe(.5)
	m.overhead.Observe(.5)
	m.size.Observe(10)
	countColdStart(known.Ref)
	countExecutorRequest("getServiceForFunction", "200")
	countAttempt(retry.Sent, nil)
	countFailure(reasonNoRoute)
}

func TestMetricsPassPromlint(t *testing.T) {
	touchMetrics()
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 12 {
		t.Errorf("got %d metrics, want 12", len(families))
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: got %q, want nothing to complain of", p.Metric, p.Text)
	}
}

// Two handlers of one configuration, and a registry that there is not.
func TestMetricsCanBeRegisteredAgain(t *testing.T) {
	registry := prometheus.NewRegistry()
	for range 2 {
		if err := registerMetrics(registry); err != nil {
			t.Errorf("got %v, want nil", err)
		}
	}
	if err := registerMetrics(nil); err != nil {
		t.Errorf("without a registry: got %v, want nil", err)
	}
	clash := prometheus.NewRegistry()
	clash.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "kubefaas_tap_errors_total", Help: "Not ours."}))
	if err := registerMetrics(clash); err == nil {
		t.Error("with somebody else's metric of the same name: got nil, want an error")
	}
}

// Buckets fit what is measured: from 1 ms to a minute.
func TestLatencyBucketsGoFromOneMillisecondToAMinute(t *testing.T) {
	first, last := latencyBuckets[0], latencyBuckets[len(latencyBuckets)-1]
	if first > time.Millisecond.Seconds() || last < time.Minute.Seconds() {
		t.Errorf("got buckets from %v to %v, want 0.001 to 60", first, last)
	}
}

func TestMethodsAndCodesAreFewLabels(t *testing.T) {
	for method, want := range map[string]string{
		"GET": "GET", "PATCH": "PATCH", "CONNECT": "CONNECT", "get": "_other", "BREW": "_other", "": "_other",
	} {
		if got := methodLabel(method); got != want {
			t.Errorf("method %q: got label %q, want %q", method, got, want)
		}
	}
	for code, want := range map[int]int{100: 100, 200: 200, 499: 499, 599: 599, 600: 0, 99: 0, -1: 0, 999: 0} {
		if got := codeLabel(code); got != want {
			t.Errorf("code %d: got label %d, want %d", code, got, want)
		}
	}
}

func TestAttemptsAreCountedByHowTheyEnded(t *testing.T) {
	read := func(result string) float64 {
		registry := prometheus.NewRegistry()
		registry.MustRegister(attemptsTotal)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range families[0].Metric {
			if m.Label[0].GetValue() == result {
				return m.Counter.GetValue()
			}
		}
		return 0
	}
	for _, test := range []struct {
		outcome retry.Outcome
		err     error
		want    string
	}{
		{retry.Sent, nil, "sent"},
		{retry.Sent, errors.New("reset"), "function_error"},
		{retry.Refused, errors.New("refused"), "refused"},
		{retry.DialTimeout, errors.New("late"), "dial_timeout"},
		{retry.Stale, errors.New("EOF"), "stale"},
		{retry.ClientGone, errors.New("gone"), "client_gone"},
	} {
		before := read(test.want)
		countAttempt(test.outcome, test.err)
		if got := read(test.want); got != before+1 {
			t.Errorf("%s: got it counted %v times, want once", test.want, got-before)
		}
	}
}
