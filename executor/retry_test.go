package executor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cenkalti/backoff/v4"
)

func TestRetryEndsAsSoonAsWaitingIsInVain(t *testing.T) {
	temporary := &Error{Status: 503}
	wrapped := fmt.Errorf("wrapped: %w", temporary)
	final := errors.New("final")
	second := func() backoff.BackOff { return backoff.NewConstantBackOff(time.Second) }
	for name, tc := range map[string]struct {
		deadline time.Duration // of the context; 0 is none
		cancel   time.Duration // when the caller leaves; 0 is never
		backoff  backoff.BackOff
		errs     []error // of the calls in order, the last for ever
		want     error
		calls    int
		took     time.Duration
	}{
		"success at once":                    {backoff: second(), errs: []error{nil}, calls: 1},
		"success at last":                    {backoff: second(), errs: []error{temporary, wrapped, nil}, calls: 3, took: 2 * time.Second},
		"an error that a wait does not mend": {backoff: second(), errs: []error{temporary, final}, want: final, calls: 2, took: time.Second},
		"the back-off stops":                 {backoff: backoff.WithMaxRetries(second(), 2), errs: []error{temporary}, want: temporary, calls: 3, took: 2 * time.Second},
		"the deadline is before the next": {
			deadline: 2500 * time.Millisecond, backoff: second(), errs: []error{temporary}, want: temporary, calls: 3, took: 2 * time.Second,
		},
		"the caller leaves": {
			cancel: 1500 * time.Millisecond, backoff: second(), errs: []error{temporary}, want: temporary, calls: 2, took: 1500 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tc.deadline)
					defer cancel()
				}
				if tc.cancel > 0 {
					defer time.AfterFunc(tc.cancel, cancel).Stop()
				}
				started, calls := time.Now(), 0
				err := Retry(ctx, tc.backoff, func() error {
					calls++
					return tc.errs[min(calls, len(tc.errs))-1]
				})
				if took := time.Since(started); !errors.Is(err, tc.want) || calls != tc.calls || took != tc.took {
					t.Errorf("got %v after %d calls and %v; want %v after %d and %v", err, calls, took, tc.want, tc.calls, tc.took)
				}
			})
		})
	}
}

func TestDefaultBackoffIsTheContracts(t *testing.T) {
	b := defaultBackoff()
	want := 50 * time.Millisecond
	for n := 1; n <= 9; n++ {
		got := b.NextBackOff()
		if low, high := want*79/100, want*121/100; got < low || got > high {
			t.Errorf("wait %d: got %v, want %v ± 20 %%", n, got, want)
		}
		want *= 2
	}
	if got := b.NextBackOff(); got != backoff.Stop {
		t.Errorf("after 10 attempts: got %v, want an end", got)
	}
}
