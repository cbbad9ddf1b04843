package endpoint

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Defaults of Settings.
const (
	DefaultAddressTTL       = time.Minute
	DefaultColdStartTimeout = 30 * time.Second
	DefaultMaxWaiting       = 10_000
	DefaultMaxWaitingTotal  = 50_000
	DefaultAddressAttempts  = 5

	defaultDialTimeout = 250 * time.Millisecond
)

// Settings are what a configuration says about resolving. They come with
// every call, because the pool outlives configurations. A value is immutable
// once it is in use. Zero fields, and a nil *Settings, stand for the defaults.
type Settings struct {
	// AddressTTL is how long an address serves before the executor is asked
	// whether it still holds. Default: 1 minute.
	AddressTTL time.Duration
	// ColdStartTimeout bounds a flight, and how long a request waits for a
	// place. Default: 30 s.
	ColdStartTimeout time.Duration
	// MaxWaiting is how many requests wait for one function. Default: 10,000.
	MaxWaiting int
	// MaxWaitingTotal is how many wait in the whole pool. Default: 50,000.
	MaxWaitingTotal int
	// Backoff returns the delays between two calls of the executor. Default:
	// 50 ms, doubled up to 1 s, nine of them.
	Backoff func() backoff.BackOff
	// DialTimeout is how long a dial may take, given how many have timed out
	// on that address, plus one. Default: 250 ms.
	DialTimeout func(attempt int) time.Duration
	// AddressAttempts is how many dial time-outs on one address make the
	// executor be asked again. Default: 5.
	AddressAttempts int
}

func (s *Settings) ttl() time.Duration {
	if s == nil || s.AddressTTL <= 0 {
		return DefaultAddressTTL
	}
	return s.AddressTTL
}

func (s *Settings) coldStart() time.Duration {
	if s == nil || s.ColdStartTimeout <= 0 {
		return DefaultColdStartTimeout
	}
	return s.ColdStartTimeout
}

func (s *Settings) room() (perFunction, total int) {
	perFunction, total = DefaultMaxWaiting, DefaultMaxWaitingTotal
	if s != nil && s.MaxWaiting > 0 {
		perFunction = s.MaxWaiting
	}
	if s != nil && s.MaxWaitingTotal > 0 {
		total = s.MaxWaitingTotal
	}
	return perFunction, total
}

func (s *Settings) backoff() backoff.BackOff {
	if s != nil && s.Backoff != nil {
		return s.Backoff()
	}
	return backoff.WithMaxRetries(backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(time.Second),
		backoff.WithRandomizationFactor(0.2),
		backoff.WithMaxElapsedTime(0),
	), 9)
}

func (s *Settings) dialTimeout(attempt int) time.Duration {
	if s == nil || s.DialTimeout == nil {
		return defaultDialTimeout
	}
	return s.DialTimeout(attempt)
}

func (s *Settings) addressAttempts() int {
	if s == nil || s.AddressAttempts <= 0 {
		return DefaultAddressAttempts
	}
	return s.AddressAttempts
}

// Call is one request's question: where does Function run?
type Call struct {
	Function *function.Function
	Executor Executor
	Settings *Settings
	// OnWait is called once, in the request's goroutine and with no lock
	// held, when the request starts to wait. May be nil.
	OnWait func()
	// Values is the context whose values (trace, request ID) the executor is
	// called with, should this request be the one that begins a flight. Its
	// cancellation is ignored. nil means the context given to Acquire.
	Values context.Context
}
