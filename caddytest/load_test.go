package caddytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

func TestLoadCallsEachOnceAndKeepsItsBound(t *testing.T) {
	var active, most atomic.Int64
	seen := make([]atomic.Int64, 200)
	rep := Load(t, 200, 8, func(_ context.Context, i int) error {
		n := active.Add(1)
		defer active.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		seen[i].Add(1)
		time.Sleep(time.Millisecond)
		if i%50 == 0 {
			return errors.New("every fiftieth")
		}
		return nil
	})
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Errorf("call %d was made %d times, want once", i, n)
		}
	}
	if most.Load() > 8 {
		t.Errorf("got %d calls at once, want at most 8", most.Load())
	}
	if rep.Done != 200 || len(rep.Errors) != 4 || len(rep.Latencies) != 200 {
		t.Errorf("got %d done, %d errors, %d latencies, want 200, 4, 200", rep.Done, len(rep.Errors), len(rep.Latencies))
	}
	if !slices.IsSorted(rep.Latencies) || rep.Quantile(0) > rep.Quantile(0.5) || rep.Quantile(0.5) > rep.Quantile(1) {
		t.Errorf("got quantiles out of order: %v", rep)
	}
	if got := failureOf(t, rep.RequireNoErrors); got == "" {
		t.Error("RequireNoErrors passed a report with errors")
	}
}

func TestQuantilesOfKnownLatencies(t *testing.T) {
	rep := &LoadReport{Latencies: []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 6, 0.9: 10, 0.99: 10, 1: 10} {
		if got := rep.Quantile(q); got != want {
			t.Errorf("quantile %v: got %d, want %d", q, got, want)
		}
	}
	if got := (&LoadReport{}).Quantile(0.5); got != 0 {
		t.Errorf("quantile of nothing: got %v, want 0", got)
	}
}

// The harness itself must not be what fails under the load that tests make: no
// Caddy here, and no time-out but that of the whole run.
func TestFunctionCarriesTwoThousandRequestsAtOnce(t *testing.T) {
	f := NewFunction(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}
	defer client.CloseIdleConnections()
	rep := Load(t, 2000, 2000, func(ctx context.Context, i int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL("/"), nil)
		if err != nil {
			return err
		}
		req.Header.Set(TestIDHeader, fmt.Sprint(i))
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	})
	rep.RequireNoErrors(t)
	if n, again := f.Requests(), f.Repeated(); n != 2000 || len(again) > 0 {
		t.Errorf("got %d executions and %d repeated, want 2000 and none", n, len(again))
	}
}
