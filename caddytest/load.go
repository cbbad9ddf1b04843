package caddytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loadDeadline bounds a whole run of [Load].
const loadDeadline = 2 * time.Minute

// LoadReport is what a run of [Load] found.
type LoadReport struct {
	// N is how many calls were asked for; Done how many returned.
	N, Done int
	// Elapsed is the wall time of the whole run.
	Elapsed time.Duration
	// Errors holds every error, in order of completion.
	Errors []error
	// Latencies holds the duration of every call that returned, sorted.
	Latencies []time.Duration
}

// Load calls f(ctx, i) for every i in [0,n), at most concurrency of them at
// once, and waits for all. The context ends with the test, or after two
// minutes; f must return when it does. Calls that were never made because the
// context ended fail the test; errors of f are only collected.
func Load(t testing.TB, n, concurrency int, f func(ctx context.Context, i int) error) *LoadReport {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), loadDeadline)
	defer cancel()
	rep := &LoadReport{N: n}
	var (
		mu   sync.Mutex
		next atomic.Int64
		wg   sync.WaitGroup
	)
	start := time.Now()
	for range min(n, max(concurrency, 1)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				began := time.Now()
				err := f(ctx, i)
				took := time.Since(began)
				mu.Lock()
				rep.Done++
				rep.Latencies = append(rep.Latencies, took)
				if err != nil {
					rep.Errors = append(rep.Errors, fmt.Errorf("call %d: %w", i, err))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	rep.Elapsed = time.Since(start)
	slices.Sort(rep.Latencies)
	if rep.Done < n {
		t.Fatalf("caddytest: load: %d of %d calls made in %v: %v", rep.Done, n, rep.Elapsed, ctx.Err())
	}
	return rep
}

// Quantile returns the latency under which the share q (0 to 1) of the calls
// stayed; 0 if there were none.
func (r *LoadReport) Quantile(q float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	i := int(q * float64(len(r.Latencies)))
	return r.Latencies[min(max(i, 0), len(r.Latencies)-1)]
}

// RequireNoErrors fails the test if any call failed, and shows the first few.
func (r *LoadReport) RequireNoErrors(t testing.TB) {
	t.Helper()
	if len(r.Errors) == 0 {
		return
	}
	var shown []string
	for _, err := range r.Errors[:min(len(r.Errors), 10)] {
		shown = append(shown, err.Error())
	}
	t.Fatalf("got %d errors in %d calls, want none:\n%s", len(r.Errors), r.Done, strings.Join(shown, "\n"))
}

// String reports counts and quantiles in one line, for t.Log.
func (r *LoadReport) String() string {
	return fmt.Sprintf("%d calls, %d errors in %v: p50 %v, p90 %v, p99 %v, max %v",
		r.Done, len(r.Errors), r.Elapsed.Round(time.Millisecond), r.Quantile(0.5).Round(10*time.Microsecond),
		r.Quantile(0.9).Round(10*time.Microsecond), r.Quantile(0.99).Round(10*time.Microsecond), r.Quantile(1).Round(10*time.Microsecond))
}
