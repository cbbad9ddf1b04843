package caddytest

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// coldStartLimit is the cold_start_timeout of the tests of an executor that is
// down: longer than the whole back-off, which takes 5.5 s.
const coldStartLimit = 10 * time.Second

// addressCalls returns how often the router called the executor for an
// address, whether or not it was reached.
func (p *platform) addressCalls(t *testing.T) float64 {
	t.Helper()
	return p.Metrics(t).Sum("kubefaas_executor_requests_total", "call", "getServiceForFunction")
}

// insist asks on one connection, again as soon as an answer came, until a
// function answers. It returns how many failures there were before.
func (w *wire) insist(path string, over *atomic.Bool, failed func(reply, time.Duration) error) error {
	for !over.Load() {
		began := time.Now()
		r, err := w.do(http.MethodGet, path, "", "")
		if err != nil || r.status == http.StatusOK {
			return err
		}
		if err := failed(r, r.at.Sub(began)); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// However many clients insist, an executor that is down is asked about once a
// second for a function, and serves soon after it is back.
func TestExecutorIsDownAndComesBack(t *testing.T) {
	const functions, clients = 10, 10
	names := functionNames(functions)
	f := NewFunction(t)
	p := startPlatform(t, fmt.Sprintf("cold_start_timeout %v", coldStartLimit), triggersFor(names...), Process())
	for _, name := range names {
		p.ex.Answer(name, executortest.At(f.Addr()))
	}
	p.ex.Stop()
	wires := p.dialWires(t, functions*clients)
	var over atomic.Bool
	var failures, slowest atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer over.Store(true)
	recovered := make([]time.Time, functions*clients)
	for i, w := range wires {
		wg.Go(func() {
			err := w.insist("/"+names[i/clients], &over, func(r reply, took time.Duration) error {
				failures.Add(1)
				for old := slowest.Load(); int64(took) > old && !slowest.CompareAndSwap(old, int64(took)); old = slowest.Load() {
				}
				if r.status != http.StatusBadGateway || r.reason() != "executor_unavailable" {
					return fmt.Errorf("got %d %q, want 502 executor_unavailable", r.status, r.reason())
				}
				return nil
			})
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			recovered[i] = time.Now()
		})
	}
	// The first requests of an outage bring the whole back-off; then it is steady.
	Eventually(t, patience, func() bool { return failures.Load() >= functions*clients },
		func() string { return fmt.Sprintf("got %d failures, want %d", failures.Load(), functions*clients) })
	t.Logf("the first outage brought %.1f calls a function", p.addressCalls(t)/functions)
	began, before := time.Now(), p.addressCalls(t)
	time.Sleep(4 * time.Second)
	calls, elapsed := p.addressCalls(t)-before, time.Since(began)
	rate := calls / functions / elapsed.Seconds()
	t.Logf("%d failures; %.2f calls a second for a function; slowest failure %v", failures.Load(), rate, time.Duration(slowest.Load()))
	if rate > 1.5 {
		t.Errorf("got %.2f calls of the executor a second for a function, want about 1", rate)
	}

	p.ex.Restart()
	back := time.Now()
	wg.Wait()
	var last time.Duration
	for _, at := range recovered {
		last = max(last, at.Sub(back))
	}
	t.Logf("the last of all clients was served %v after the executor was back", last)
	if limit := 1500 * time.Millisecond; last > limit && !raceEnabled || last > 3*limit {
		t.Errorf("got the last success %v after the executor was back, want less than %v", last, limit)
	}
	if got := time.Duration(slowest.Load()); got > coldStartLimit+time.Second {
		t.Errorf("got a failure after %v, want none after cold_start_timeout (%v)", got, coldStartLimit)
	}
}

// A warm function needs no executor.
func TestExecutorIsDownAndAddressesAreKnown(t *testing.T) {
	f := NewFunction(t)
	p := startPlatform(t, "address_ttl 100ms", triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	w := p.mustDial(t)
	if err := w.ok(http.MethodGet, "/hello", "", ""); err != nil {
		t.Fatal(err)
	}
	p.ex.Stop()
	for range 20 {
		time.Sleep(20 * time.Millisecond) // the address expires again and again
		if err := w.ok(http.MethodGet, "/hello", "", ""); err != nil {
			t.Fatalf("with the executor down: %v", err)
		}
	}
}

// A failure is told to all at once, spares the executor, and is soon forgotten.
func TestFailureIsRememberedForASecondAtMost(t *testing.T) {
	f := NewFunction(t)
	p := startPlatform(t, "", triggersFor("hello"))
	p.ex.Answer("hello", executortest.Fail(http.StatusInternalServerError, "no"), executortest.At(f.Addr()))
	w := p.mustDial(t)
	began := time.Now()
	failures := 0
	for {
		r, err := w.do(http.MethodGet, "/hello", "", "")
		if err != nil {
			t.Fatal(err)
		}
		if r.status == http.StatusOK {
			break
		}
		failures++
		if r.status != http.StatusBadGateway || r.reason() != "executor_error" || time.Since(began) > patience {
			t.Fatalf("after %v: got %d %q, want 502 executor_error for a while, then 200", time.Since(began), r.status, r.reason())
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(began)
	t.Logf("%d failures in %v", failures, took)
	if failures < 2 {
		t.Errorf("got %d failures, want more: the first is remembered", failures)
	}
	if took > 2*time.Second {
		t.Errorf("got a failure remembered for %v, want 1s at most", took)
	}
	if got := p.ex.CallsFor("hello"); got != 2 {
		t.Errorf("got %d calls of the executor, want 2", got)
	}
}
