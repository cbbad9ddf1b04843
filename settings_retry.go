package kubefaas

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/retry"
)

// Retry says how requests are tried again when an address does not answer.
type Retry struct {
	// The first wait between two attempts. Default: `50ms`.
	InitialInterval caddy.Duration `json:"initial_interval,omitempty"`

	// What each wait is longer than the one before it. Default: `2`.
	Multiplier float64 `json:"multiplier,omitempty"`

	// How many attempts a request has. Default: `10`.
	MaxAttempts int `json:"max_attempts,omitempty"`

	// How many dial time-outs one address has before it is given up.
	// Default: `5`.
	AddressAttempts int `json:"address_attempts,omitempty"`

	// The longest wait between two attempts. Default: `1s`.
	MaxInterval caddy.Duration `json:"max_interval,omitempty"`

	// By how much a wait is shortened or lengthened at random: 0.2 is 20 %,
	// 0 not at all. Default: `0.2`.
	Jitter *float64 `json:"jitter,omitempty"`
}

func (r *Retry) policy() retry.Policy {
	if r == nil {
		return retry.Policy{}.WithDefaults()
	}
	p := retry.Policy{
		InitialInterval: time.Duration(r.InitialInterval),
		Multiplier:      r.Multiplier,
		MaxAttempts:     r.MaxAttempts,
		AddressAttempts: r.AddressAttempts,
		MaxInterval:     time.Duration(r.MaxInterval),
	}.WithDefaults()
	if r.Jitter != nil {
		p.Jitter = *r.Jitter
	}
	if p.Jitter == 0 {
		p.Jitter = -1 // none; 0 would be the default again
	}
	return p
}

func (r *Retry) validate() error {
	if r != nil && r.Jitter != nil && *r.Jitter < 0 {
		return fmt.Errorf("jitter is %v: it must not be negative", *r.Jitter)
	}
	return r.policy().Validate()
}
