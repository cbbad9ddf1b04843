package executor

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Retry runs call until it returns nil or an error that asking again does not
// mend, that is one without an *Error whose Temporary is true in it. Between
// two calls it waits what b says. It returns the last call's error when b
// stops, when ctx ends, or at once when ctx would end before the wait does.
func Retry(ctx context.Context, b backoff.BackOff, call func() error) error {
	for {
		err := call()
		if e, ok := errors.AsType[*Error](err); !ok || !e.Temporary() {
			return err
		}
		d := b.NextBackOff()
		if d == backoff.Stop || !wait(ctx, d) {
			return err
		}
	}
}

// wait returns true after d, or false as soon as ctx is known to end before.
func wait(ctx context.Context, d time.Duration) bool {
	if at, ok := ctx.Deadline(); ok && time.Until(at) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// defaultBackoff is the policy of attempts, with its defaults.
func defaultBackoff() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 50 * time.Millisecond
	b.Multiplier = 2
	b.RandomizationFactor = 0.2
	b.MaxInterval = time.Minute
	b.MaxElapsedTime = 0 // the caller's deadline bounds it
	b.Reset()
	return backoff.WithMaxRetries(b, 9) // 10 attempts
}
