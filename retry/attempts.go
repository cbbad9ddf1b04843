package retry

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Action is what follows an attempt.
type Action int

// Actions. The zero value ends the request.
const (
	// Final: this outcome is the client's answer.
	Final Action = iota
	// SameAddress: attempt again on the address that is held.
	SameAddress
	// Invalidate: give the held address up and ask for one again.
	Invalidate
)

var actions = [...]string{"final", "same_address", "invalidate"}

// String names the action.
func (a Action) String() string {
	if a < 0 || int(a) >= len(actions) {
		return "unknown"
	}
	return actions[a]
}

// Decision is an action and how long to wait before it.
type Decision struct {
	Action Action
	Delay  time.Duration
	// Dead: the held address must be forgotten. True for every Invalidate,
	// and for a Final that ended on such an address: the next request must
	// not find it.
	Dead bool
}

// Attempts is one request's way through section 5 of the router's contract.
// It is not safe for use by several goroutines.
type Attempts struct {
	policy   Policy
	delays   backoff.BackOff // made by the first attempt that fails
	attempt  int
	timeouts int // on the address that is held
	replayed bool
}

// Attempts returns the state of a request that is in its first attempt.
func (p Policy) Attempts() Attempts {
	return Attempts{policy: p.WithDefaults(), attempt: 1}
}

// Attempt is the number of the attempt under way, from 1.
func (a *Attempts) Attempt() int { return a.attempt }

// DialTimeout is how long the dial of the attempt under way may take.
func (a *Attempts) DialTimeout() time.Duration { return a.policy.DialTimeout(a.attempt) }

// Next decides what follows the attempt under way. Unless the decision is
// Final, the next attempt is under way when it returns.
func (a *Attempts) Next(o Outcome) Decision {
	action := a.action(o)
	dead := action == Invalidate
	if action == Final || a.attempt >= a.policy.MaxAttempts {
		return Decision{Action: Final, Dead: dead}
	}
	if dead {
		a.timeouts = 0
	}
	delay := a.delay()
	if o == Stale && !a.replayed {
		// The connection was at fault, not the function: no reason to wait.
		// Only once, though; a second time the function itself closes them.
		a.replayed, delay = true, 0
	}
	a.attempt++
	return Decision{Action: action, Delay: delay, Dead: dead}
}

func (a *Attempts) action(o Outcome) Action {
	switch o {
	case Refused:
		return Invalidate
	case DialTimeout:
		if a.timeouts++; a.timeouts >= a.policy.AddressAttempts {
			return Invalidate
		}
		return SameAddress
	case Stale:
		return SameAddress
	}
	return Final
}

// delay is the next one of the back-off. Every attempt takes one, so that the
// delays and the dial timeouts grow in step.
func (a *Attempts) delay() time.Duration {
	if a.delays == nil {
		a.delays = a.policy.Backoff()
	}
	return max(a.delays.NextBackOff(), 0)
}
