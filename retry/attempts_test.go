package retry

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// plain has no jitter, so that delays can be listed.
var plain = Policy{Jitter: -1, MaxAttempts: 6, AddressAttempts: 3}

func TestAttemptsFollowSectionFive(t *testing.T) {
	same := func(d time.Duration) Decision { return Decision{SameAddress, d * ms, false} }
	ask := func(d time.Duration) Decision { return Decision{Invalidate, d * ms, true} }
	final, dead := Decision{}, Decision{Final, 0, true}
	for name, c := range map[string]struct {
		policy   Policy
		outcomes []Outcome
		want     []Decision
	}{
		"an answer is final":           {plain, []Outcome{Sent}, []Decision{final}},
		"an executor error is final":   {plain, []Outcome{ExecutorFailed}, []Decision{final}},
		"a client that left is final":  {plain, []Outcome{ClientGone}, []Decision{final}},
		"what nobody defined is final": {plain, []Outcome{Outcome(99)}, []Decision{final}},
		"refused: another address each time, with growing delays": {
			plain,
			[]Outcome{Refused, Refused, Refused, Refused, Refused, Refused},
			[]Decision{ask(50), ask(100), ask(200), ask(400), ask(800), dead},
		},
		"time-outs: the same address until it used its own up": {
			plain,
			[]Outcome{DialTimeout, DialTimeout, DialTimeout, DialTimeout, DialTimeout, DialTimeout},
			[]Decision{same(50), same(100), ask(200), same(400), same(800), dead},
		},
		"a refusal in between starts the count anew": {
			plain,
			[]Outcome{DialTimeout, DialTimeout, Refused, DialTimeout, DialTimeout},
			[]Decision{same(50), same(100), ask(200), same(400), same(800)},
		},
		"the last attempt's time-out does not condemn a fresh address": {
			plain,
			[]Outcome{Refused, Refused, Refused, Refused, Refused, DialTimeout},
			[]Decision{ask(50), ask(100), ask(200), ask(400), ask(800), final},
		},
		"a stale connection: at once the first time": {
			plain,
			[]Outcome{Stale, Stale, Refused, Sent},
			[]Decision{same(0), same(100), ask(200), final},
		},
		"one attempt": {Policy{MaxAttempts: 1}, []Outcome{Refused}, []Decision{dead}},
		"one time-out on an address": {
			Policy{Jitter: -1, AddressAttempts: 1}, []Outcome{DialTimeout, Sent}, []Decision{ask(50), final},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.policy.Attempts()
			var got []Decision
			for i, o := range c.outcomes {
				if a.Attempt() != i+1 {
					t.Errorf("Attempt() = %d, want %d", a.Attempt(), i+1)
				}
				if d, want := a.DialTimeout(), c.policy.DialTimeout(i+1); d != want {
					t.Errorf("DialTimeout() of attempt %d = %v, want %v", i+1, d, want)
				}
				got = append(got, a.Next(o))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("after %v\n got %v\nwant %v", c.outcomes, got, c.want)
			}
		})
	}
}

// Whatever happens to a request: it is attempted at most MaxAttempts times, a
// final outcome is never followed by an attempt, an address is never kept
// after a refusal, and only a stale connection is followed at once.
func TestAnySequenceOfOutcomesEnds(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		p := Policy{MaxAttempts: 1 + r.IntN(12), AddressAttempts: 1 + r.IntN(6), Jitter: 0.9 * r.Float64()}
		a := p.Attempts()
		free := 0
		for n := 1; ; n++ {
			if n > p.MaxAttempts {
				t.Fatalf("seed %d: %+v: attempt %d was made", seed, p, n)
			}
			o := Outcome(r.IntN(int(ClientGone) + 1))
			d := a.Next(o)
			if (o == Sent || o == ExecutorFailed || o == ClientGone) && d != (Decision{}) {
				t.Fatalf("seed %d: %v is followed by %+v", seed, o, d)
			}
			if o == Refused && !d.Dead || d.Action == Invalidate && !d.Dead {
				t.Fatalf("seed %d: after %v the address is kept: %+v", seed, o, d)
			}
			if d.Action == Final {
				break
			}
			if d.Delay <= 0 {
				if free++; o != Stale || free > 1 {
					t.Fatalf("seed %d: %v is followed at once, %d times", seed, o, free)
				}
			}
		}
	}
}
