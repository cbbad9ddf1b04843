package process

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	// The pauses after a death at start.
	firstRestartPause = 250 * time.Millisecond
	lastRestartPause  = 30 * time.Second
	// The pauses after a death soon after readiness, where the next start may
	// well be good and requests wait for it: shorter.
	firstYoungPause = 10 * time.Millisecond
	lastYoungPause  = 500 * time.Millisecond
	// freeDeaths is how many early deaths cost no pause.
	freeDeaths = 2
	// grownUp is the age at which a death says nothing of the next start.
	grownUp = 10 * time.Second
	// freeStarts is how many times in a row a program is started again at
	// once after a start that came to nothing through no fault of its own: its
	// port was taken, or it was killed.
	freeStarts = 3
)

// restarts decides when a function's program may be started again. It does
// no I/O and reads no clock; its owner's lock guards it.
type restarts struct {
	until   time.Time // no start before
	err     error     // why, for those who need not wait; nil: they wait
	start   backoff.BackOff
	young   backoff.BackOff
	early   int // early deaths in a row
	mishaps int // starts in a row that failed through no fault of the program
}

func newRestarts() restarts {
	return restarts{
		start: pauses(firstRestartPause, lastRestartPause),
		young: pauses(firstYoungPause, lastYoungPause),
	}
}

func pauses(first, last time.Duration) backoff.BackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(first),
		backoff.WithMaxInterval(last),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.2),
		backoff.WithMaxElapsedTime(0),
	)
}

// diedAtStart notes a death before readiness, and returns whether the next
// start may follow at once.
func (r *restarts) diedAtStart(now time.Time, err error) (again bool) {
	if (portTaken(err) || killed(err)) && r.mishaps < freeStarts {
		r.mishaps++
		return true
	}
	r.until, r.err = now.Add(r.start.NextBackOff()), err
	return false
}

// ready notes a start that went well.
func (r *restarts) ready() {
	r.mishaps = 0
	r.start.Reset()
	r.until, r.err = time.Time{}, nil
}

// died notes the death of an instance that had been ready for age.
func (r *restarts) died(now time.Time, age time.Duration) {
	if age >= grownUp {
		r.early = 0
		r.young.Reset()
		return
	}
	if r.early++; r.early > freeDeaths {
		r.until, r.err = now.Add(r.young.NextBackOff()), nil
	}
}

// wait returns how long to wait before the next start, and the error for
// those who would rather not.
func (r *restarts) wait(now time.Time) (time.Duration, error) {
	if d := r.until.Sub(now); d > 0 {
		return d, r.err
	}
	return 0, nil
}

// forgive allows a start at once: somebody has changed something.
func (r *restarts) forgive() {
	*r = newRestarts()
}
