package retry

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
)

func TestZeroFieldsStandForTheDefaults(t *testing.T) {
	want := Policy{
		InitialInterval: 50 * time.Millisecond, Multiplier: 2, MaxAttempts: 10,
		AddressAttempts: 5, MaxInterval: time.Second, Jitter: 0.2,
	}
	if got := (Policy{}).WithDefaults(); got != want {
		t.Errorf("WithDefaults() = %+v, want %+v", got, want)
	}
	full := Policy{time.Second, 3, 2, 1, 5 * time.Second, -1}
	if got := full.WithDefaults(); got != full {
		t.Errorf("WithDefaults() = %+v, want it as given, %+v", got, full)
	}
	slow := Policy{InitialInterval: 3 * time.Second}.WithDefaults()
	if slow.MaxInterval != 3*time.Second {
		t.Errorf("max_interval below a long initial_interval: got %v, want 3s", slow.MaxInterval)
	}
}

func TestPolicyIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		want   string // part of the error; empty: valid
	}{
		"the defaults":                      {Policy{}, ""},
		"no jitter":                         {Policy{Jitter: -1}, ""},
		"one attempt":                       {Policy{MaxAttempts: 1, AddressAttempts: 1}, ""},
		"constant delays":                   {Policy{Multiplier: 1}, ""},
		"a negative first interval":         {Policy{InitialInterval: -1}, "initial_interval"},
		"a longest below the first":         {Policy{InitialInterval: 2, MaxInterval: 1}, "max_interval"},
		"a negative longest":                {Policy{MaxInterval: -1}, "max_interval"},
		"delays that shrink":                {Policy{Multiplier: 0.5}, "multiplier"},
		"a multiplier that is not a number": {Policy{Multiplier: math.NaN()}, "multiplier"},
		"an infinite multiplier":            {Policy{Multiplier: math.Inf(1)}, "multiplier"},
		"negative attempts":                 {Policy{MaxAttempts: -1}, "max_attempts"},
		"negative attempts on an address":   {Policy{AddressAttempts: -1}, "address_attempts"},
		"jitter that allows no delay":       {Policy{Jitter: 1}, "jitter"},
		"jitter that is not a number":       {Policy{Jitter: math.NaN()}, "jitter"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.policy.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("Validate() = %v, want no error", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("Validate() = %v, want an error about %s", err, c.want)
			}
		})
	}
}

func TestDialTimeoutIsTheIntervalOfTheAttempt(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		policy Policy
		want   []time.Duration // of attempts 0, 1, 2, …
	}{
		"the defaults": {
			Policy{}, []time.Duration{50 * ms, 50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 1000 * ms, 1000 * ms},
		},
		"never under 50 ms": {
			Policy{InitialInterval: ms, MaxInterval: 3 * ms}, []time.Duration{50 * ms, 50 * ms, 50 * ms, 50 * ms},
		},
		"constant":           {Policy{InitialInterval: 70 * ms, Multiplier: 1}, []time.Duration{70 * ms, 70 * ms, 70 * ms}},
		"longer than normal": {Policy{InitialInterval: 2 * time.Second}, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			for attempt, want := range c.want {
				if got := c.policy.DialTimeout(attempt); got != want {
					t.Errorf("DialTimeout(%d) = %v, want %v", attempt, got, want)
				}
			}
			if got, last := c.policy.DialTimeout(1<<40), c.want[len(c.want)-1]; got != last {
				t.Errorf("DialTimeout(2^40) = %v, want it to stay at %v", got, last)
			}
		})
	}
}

// Whatever the policy: one delay fewer than attempts, each within the jitter
// of its interval, and the intervals never shrink.
func TestDelaysFollowThePolicy(t *testing.T) {
	const seed = 20261124
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		p := Policy{
			InitialInterval: time.Duration(1 + r.IntN(int(2*time.Second))),
			Multiplier:      1 + 4*r.Float64(),
			MaxAttempts:     1 + r.IntN(20),
			Jitter:          r.Float64() * 0.99,
		}.WithDefaults()
		p.MaxInterval = p.InitialInterval + time.Duration(r.IntN(int(3*time.Second)))
		if err := p.Validate(); err != nil {
			t.Fatalf("seed %d: %+v is refused: %v", seed, p, err)
		}
		b := p.Backoff()
		before := time.Duration(0)
		for n := 1; n < p.MaxAttempts; n++ {
			got, interval := b.NextBackOff(), p.interval(n)
			low := time.Duration(float64(interval)*(1-p.Jitter)) - 2
			high := time.Duration(float64(interval)*(1+p.Jitter)) + 2
			// The library rounds down once per step; allow for it.
			slack := time.Duration(float64(n) * math.Pow(p.Multiplier, float64(min(n, 8))))
			if got < low-slack || got > high+slack {
				t.Fatalf("seed %d: %+v: delay %d is %v, want %v ± %.0f %%", seed, p, n, got, interval, 100*p.Jitter)
			}
			if interval < before || interval > p.MaxInterval {
				t.Fatalf("seed %d: %+v: interval %d is %v after %v", seed, p, n, interval, before)
			}
			before = interval
		}
		if got := b.NextBackOff(); got != backoff.Stop {
			t.Fatalf("seed %d: %+v: got one more delay, %v, want Stop", seed, p, got)
		}
		b.Reset()
		if got := b.NextBackOff(); p.MaxAttempts > 1 && got == backoff.Stop {
			t.Fatalf("seed %d: %+v: got Stop after Reset", seed, p)
		}
	}
}
