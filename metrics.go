package kubefaas

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// callLabels are those that canary controllers query. All values come from the
// configuration, but for the method and the code, of which there are few.
var callLabels = []string{"cached", "namespace", "name", "host", "path", "method", "code"}

// latencyBuckets go from 1 ms, about what the network of one machine costs, to
// a function's default timeout, in seconds.
var latencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// overheadBuckets begin where a warm request is, in seconds.
var overheadBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// The collectors live as long as the process: Caddy makes a new registry for
// each configuration, and counters must not begin anew with it.
var (
	functionCalls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefaas_function_calls_total", Help: "Requests to functions.",
	}, callLabels)
	functionErrors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefaas_function_errors_total", Help: "Requests to functions that were answered with status 400 and up.",
	}, callLabels)
	functionDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kubefaas_function_duration_seconds", Help: "Time from a request's arrival to the end of its response.", Buckets: latencyBuckets,
	}, callLabels)
	functionOverhead = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kubefaas_function_overhead_seconds", Help: "Time a request spent in the router before it was sent to the function.", Buckets: overheadBuckets,
	}, callLabels)
	responseSize = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kubefaas_function_response_size_bytes", Help: "Size of functions' response bodies.",
		Buckets: prometheus.ExponentialBuckets(64, 8, 8),
	}, callLabels)
	coldStarts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefaas_cold_starts_total", Help: "Functions that were found to listen after somebody had waited for them.",
	}, []string{"namespace", "name"})
	executorRequests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefaas_executor_requests_total", Help: "Calls of the executor's API.",
	}, []string{"call", "code"})
	attemptsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefaas_attempts_total", Help: "Attempts to send a request to an address, by how they ended.",
	}, []string{"result"})
	failuresTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubefaas_failures_total", Help: "Requests that the router itself answered with an error.",
	}, []string{"reason"})
	tapErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "kubefaas_tap_errors_total", Help: "Batches of taps that the executor did not take.",
	})
	waitingRequests = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kubefaas_waiting_requests", Help: "Requests that wait for a function.",
	}, func() float64 { return float64(total(false)) })
	knownAddresses = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kubefaas_addresses", Help: "Addresses of functions that are known.",
	}, func() float64 { return float64(total(true)) })
)

func total(addresses bool) int {
	s := currentState()
	if s == nil {
		return 0
	}
	known, waiting := s.endpoints.Totals()
	if addresses {
		return known
	}
	return waiting
}

// registerMetrics makes the collectors part of a configuration's registry.
func registerMetrics(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		functionCalls, functionErrors, functionDuration, functionOverhead, responseSize, coldStarts,
		executorRequests, attemptsTotal, failuresTotal, tapErrors, waitingRequests, knownAddresses,
	} {
		var known prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &known) {
			return err
		}
	}
	return nil
}

func countFailure(reason string) { failuresTotal.WithLabelValues(reason).Inc() }

func countTapError() { tapErrors.Inc() }

func countExecutorRequest(call, code string) { executorRequests.WithLabelValues(call, code).Inc() }

// attemptCounters are attemptsTotal by outcome, so that a warm request looks
// nothing up.
var attemptCounters = [...]prometheus.Counter{
	retry.Sent:        attemptsTotal.WithLabelValues("sent"),
	retry.Refused:     attemptsTotal.WithLabelValues("refused"),
	retry.DialTimeout: attemptsTotal.WithLabelValues("dial_timeout"),
	retry.Stale:       attemptsTotal.WithLabelValues("stale"),
	retry.ClientGone:  attemptsTotal.WithLabelValues("client_gone"),
}

// attemptFailed counts attempts after which the function may have run.
var attemptFailed = attemptsTotal.WithLabelValues("function_error")

func countAttempt(o retry.Outcome, err error) {
	if o == retry.Sent && err != nil {
		attemptFailed.Inc()
		return
	}
	if int(o) < len(attemptCounters) && attemptCounters[o] != nil {
		attemptCounters[o].Inc()
	}
}

func countColdStart(ref function.Ref) { coldStarts.WithLabelValues(ref.Namespace, ref.Name).Inc() }

// meterKey is what of a call's labels varies within one trigger's function.
type meterKey struct {
	function *function.Function
	host     string
	method   string
	code     int
	cached   bool
}

// meter is one set of labels' collectors.
type meter struct {
	calls, errors            prometheus.Counter
	duration, overhead, size prometheus.Observer
	totals                   *totals
}

// meters are a trigger's, by what varies. They are copied when one is added, so
// that finding one takes neither a lock nor an allocation. They stay few:
// functions and hosts are the configuration's, methods and codes are few.
type meters struct {
	known  atomic.Pointer[map[meterKey]*meter]
	adding sync.Mutex
}

func (m *meters) get(key meterKey, label function.Ref, pattern string) *meter {
	if known := m.known.Load(); known != nil {
		if found := (*known)[key]; found != nil {
			return found
		}
	}
	return m.add(key, label, pattern)
}

func (m *meters) add(key meterKey, label function.Ref, pattern string) *meter {
	m.adding.Lock()
	defer m.adding.Unlock()
	more := make(map[meterKey]*meter)
	if known := m.known.Load(); known != nil {
		if found := (*known)[key]; found != nil {
			return found
		}
		maps.Copy(more, *known)
	}
	labels := []string{
		strconv.FormatBool(key.cached), label.Namespace, label.Name, key.host, pattern, key.method, strconv.Itoa(key.code),
	}
	made := &meter{
		calls:    functionCalls.WithLabelValues(labels...),
		duration: functionDuration.WithLabelValues(labels...),
		overhead: functionOverhead.WithLabelValues(labels...),
		size:     responseSize.WithLabelValues(labels...),
		totals:   totalsOf(label),
	}
	if key.code >= http.StatusBadRequest {
		made.errors = functionErrors.WithLabelValues(labels...)
	}
	more[key] = made
	m.known.Store(&more)
	return made
}

// methodLabel is a method as a label: what is no standard one is all the same.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "_other"
}

// codeLabel keeps the codes few: a function may send any number.
func codeLabel(code int) int {
	if code < 100 || code > 599 {
		return 0
	}
	return code
}

// count adds a call that has ended to the metrics.
func (c *call) count(r *http.Request) {
	m := c.target.meters.get(meterKey{
		function: c.fn, host: c.match.Host, method: methodLabel(r.Method), code: codeLabel(c.code), cached: c.exchange.Cached,
	}, c.target.label(c.app, c.fn.Ref), c.target.pattern)
	m.calls.Inc()
	m.totals.calls.Add(1)
	if m.errors != nil {
		m.errors.Inc()
		m.totals.errors.Add(1)
	}
	now := time.Now()
	sent := c.exchange.Sent
	if sent.IsZero() {
		sent = now
	}
	m.duration.Observe(now.Sub(c.began).Seconds())
	m.overhead.Observe(sent.Sub(c.began).Seconds())
	m.size.Observe(float64(c.size))
}
