package endpoint

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// A flight whose executor fails retries on a ramp of growing delays. When the
// flight is abandoned on it, the next flight goes on where it ended: clients
// that come and leave would start at the short delays again and again
// otherwise, and flood an executor that is in trouble already.

// resumeRamp returns the delays to use, after waiting for the first of them
// if a flight before this one owes it; nil if this flight ended meanwhile.
func (f *flight) resumeRamp() backoff.BackOff {
	e := f.e
	e.mu.Lock()
	ramp, owed := e.ramp, time.Until(e.askAfter)
	e.mu.Unlock()
	if ramp == nil {
		return f.call.Settings.backoff()
	}
	if owed > 0 && !sleep(f.ctx, owed) {
		return nil
	}
	return ramp
}

// climb returns the delay before the next call, negative if there is none:
// the ramp has ended, or the flight's deadline would come first. It leaves the
// ramp to the next flight, should this one be abandoned; under the lock, since
// that flight may have it already.
func (f *flight) climb(ramp backoff.BackOff) time.Duration {
	e := f.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.flight != f {
		return backoff.Stop
	}
	delay := ramp.NextBackOff()
	next := time.Now().Add(delay)
	if deadline, ok := f.ctx.Deadline(); delay < 0 || ok && !next.Before(deadline) {
		return backoff.Stop
	}
	e.ramp, e.askAfter = ramp, next
	return delay
}
