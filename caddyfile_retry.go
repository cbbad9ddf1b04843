package kubefaas

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unmarshalRetry reads a retry block, which the app, the upstream source and
// the transport share.
func unmarshalRetry(d *caddyfile.Dispenser, dst **Retry) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	r := new(Retry)
	at := *d // the last of the words that only go together
	interval := func(dst *caddy.Duration) func(*caddyfile.Dispenser) error {
		return func(d *caddyfile.Dispenser) error {
			at = *d
			return one(dst, positive)(d)
		}
	}
	err := parseBlock(d, words{
		"initial_interval": interval(&r.InitialInterval),
		"multiplier":       func(d *caddyfile.Dispenser) error { return r.unmarshalMultiplier(d) },
		"max_attempts":     one(&r.MaxAttempts, count),
		"address_attempts": one(&r.AddressAttempts, count),
		"max_interval":     interval(&r.MaxInterval),
		"jitter":           func(d *caddyfile.Dispenser) error { return r.unmarshalJitter(d) },
	})
	if err == nil {
		err = located(&at, r.validate())
	}
	if err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	*dst = r
	return nil
}

// unmarshalMultiplier reads a number that the policy accepts by itself.
func (r *Retry) unmarshalMultiplier(d *caddyfile.Dispenser) error {
	if err := one(&r.Multiplier, decimal)(d); err != nil {
		return err
	}
	if r.Multiplier == 0 {
		return d.Err("multiplier is 0: it must be between 1 and 100")
	}
	return located(d, (&Retry{Multiplier: r.Multiplier}).validate())
}

// unmarshalJitter reads a number that the policy accepts by itself.
func (r *Retry) unmarshalJitter(d *caddyfile.Dispenser) error {
	r.Jitter = new(float64)
	if err := one(r.Jitter, decimal)(d); err != nil {
		return err
	}
	return located(d, (&Retry{Jitter: r.Jitter}).validate())
}
