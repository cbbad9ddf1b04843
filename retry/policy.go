// Package retry decides whether and when a request is attempted again. It is
// arithmetic and classification: it does no I/O and reads no clock, so that
// every rule of it can be listed in a table.
package retry

import (
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Defaults of a Policy.
const (
	DefaultInitialInterval = 50 * time.Millisecond
	DefaultMultiplier      = 2
	DefaultMaxAttempts     = 10
	DefaultAddressAttempts = 5
	DefaultMaxInterval     = time.Second
	DefaultJitter          = 0.2
)

// minDialTimeout is the shortest time a dial gets: a handshake over a busy
// network takes some milliseconds, whatever back-off was configured.
const minDialTimeout = 50 * time.Millisecond

// Policy says how often an attempt is repeated and what lies between two of
// them. The zero value of every field stands for its default.
type Policy struct {
	// InitialInterval is the first delay. Default: 50 ms.
	InitialInterval time.Duration
	// Multiplier is what a delay grows by from one attempt to the next.
	// Default: 2.
	Multiplier float64
	// MaxAttempts is how often a request is attempted, the first attempt
	// included. Default: 10.
	MaxAttempts int
	// AddressAttempts is how many dial time-outs one address is allowed
	// before it is given up. Default: 5.
	AddressAttempts int
	// MaxInterval bounds the un-jittered delay. Default: 1 s, or
	// InitialInterval if that is longer.
	MaxInterval time.Duration
	// Jitter is the share by which a delay is made longer or shorter at
	// random, below 1. Negative means none. Default: 0.2.
	Jitter float64
}

// WithDefaults returns the policy with its zero fields filled in.
func (p Policy) WithDefaults() Policy {
	if p.InitialInterval == 0 {
		p.InitialInterval = DefaultInitialInterval
	}
	if p.Multiplier == 0 {
		p.Multiplier = DefaultMultiplier
	}
	if p.MaxAttempts == 0 {
		p.MaxAttempts = DefaultMaxAttempts
	}
	if p.AddressAttempts == 0 {
		p.AddressAttempts = DefaultAddressAttempts
	}
	if p.MaxInterval == 0 {
		p.MaxInterval = max(DefaultMaxInterval, p.InitialInterval)
	}
	if p.Jitter == 0 {
		p.Jitter = DefaultJitter
	}
	return p
}

// Validate says what is wrong with a policy; zero fields are judged as their
// defaults. The names in its errors are those of the configuration.
func (p Policy) Validate() error {
	p = p.WithDefaults()
	switch {
	case p.InitialInterval < 0:
		return fmt.Errorf("initial_interval is %v: it must be positive", p.InitialInterval)
	case p.MaxInterval < p.InitialInterval:
		return fmt.Errorf("max_interval is %v: it must not be below initial_interval, %v", p.MaxInterval, p.InitialInterval)
	case !(p.Multiplier >= 1 && p.Multiplier <= 100): // written so that NaN fails
		return fmt.Errorf("multiplier is %v: it must be between 1 and 100", p.Multiplier)
	case p.MaxAttempts < 0:
		return fmt.Errorf("max_attempts is %d: it must be positive", p.MaxAttempts)
	case p.AddressAttempts < 0:
		return fmt.Errorf("address_attempts is %d: it must be positive", p.AddressAttempts)
	case !(p.Jitter < 1):
		return fmt.Errorf("jitter is %v: it must be below 1", p.Jitter)
	}
	return nil
}

// Backoff returns the delays between attempts: MaxAttempts-1 of them, then
// backoff.Stop. A value serves one request at a time.
func (p Policy) Backoff() backoff.BackOff {
	p = p.WithDefaults()
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(p.InitialInterval),
		backoff.WithMultiplier(p.Multiplier),
		backoff.WithMaxInterval(p.MaxInterval),
		backoff.WithRandomizationFactor(max(p.Jitter, 0)),
		backoff.WithMaxElapsedTime(0), // the attempts are counted, not timed
		backoff.WithClockProvider(stopped{}),
	)
	return backoff.WithMaxRetries(b, uint64(max(p.MaxAttempts-1, 0)))
}

// DialTimeout is how long the dial of an attempt may take, the first attempt
// being 1: the un-jittered interval of this attempt, at least 50 ms.
func (p Policy) DialTimeout(attempt int) time.Duration {
	return max(p.interval(attempt), minDialTimeout)
}

// interval is the un-jittered delay that follows an attempt.
func (p Policy) interval(attempt int) time.Duration {
	p = p.WithDefaults()
	d := float64(p.InitialInterval)
	for range attempt - 1 {
		if d >= float64(p.MaxInterval) || p.Multiplier <= 1 {
			break
		}
		d *= p.Multiplier
	}
	return min(time.Duration(d), p.MaxInterval)
}

// stopped is a clock that stands still: without a bound on the elapsed time
// the back-off has no use for the real one.
type stopped struct{}

func (stopped) Now() time.Time { return time.Time{} }
