package process

import (
	"slices"
	"time"
)

const (
	// never is a wait that a kick ends.
	never = time.Hour
	// leastLook bounds how often idle instances are looked at.
	leastLook = 10 * time.Millisecond
)

// supervise keeps the least number of instances running and ends those that
// are idle, until the group is retired and empty.
func (g *group) supervise() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-g.kick:
		case <-t.C:
		}
		look, done := g.tend()
		if done {
			g.rt.forget(g)
			return
		}
		t.Reset(look)
	}
}

// usage is what the router says of a ready instance.
type usage struct {
	i        *instance
	inFlight int
	last     time.Time
}

// tend does what is due, and returns when to look again.
func (g *group) tend() (look time.Duration, done bool) {
	seen := g.usages()
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.retired {
		return never, len(g.instances) == 0
	}
	return min(g.fill(now), g.shrink(now, seen)), false
}

func (g *group) usages() []usage {
	g.mu.Lock()
	var seen []usage
	for _, i := range g.instances {
		if i.state == StateReady {
			seen = append(seen, usage{i: i})
		}
	}
	idle := len(seen) > g.spec.Min
	g.mu.Unlock()
	if !idle {
		return nil
	}
	for n := range seen {
		seen[n].inFlight, seen[n].last = g.use(seen[n].i.addr)
	}
	return seen
}

// fill starts what is missing of the least number. The lock is held.
func (g *group) fill(now time.Time) time.Duration {
	for g.count(StateStarting)+g.count(StateReady) < g.spec.Min {
		if pause, _ := g.restarts.wait(now); pause > 0 {
			return pause
		}
		g.launch()
	}
	return never
}

// shrink ends instances beyond the least number that nobody has used for
// IdleTimeout, the longest idle first, and those beyond the greatest. The
// lock is held; what the router said may be a moment old, but an address that
// was given to it since then shows in used.
func (g *group) shrink(now time.Time, seen []usage) time.Duration {
	spare := g.count(StateReady) - g.spec.Min
	excess := g.count(StateReady) - g.spec.Max
	for _, u := range seen {
		u.i.used = latest(u.i.used, u.last, u.i.readyAt)
	}
	// Of two equally long idle the newer goes.
	slices.Reverse(seen)
	slices.SortStableFunc(seen, func(a, b usage) int { return a.i.used.Compare(b.i.used) })
	look := never
	for _, u := range seen {
		if spare <= 0 {
			return never
		}
		if u.i.state != StateReady {
			continue
		}
		left := g.spec.IdleTimeout - now.Sub(u.i.used)
		switch {
		case excess > 0:
			u.i.retire("more run than may")
			excess--
			spare--
		case u.inFlight > 0:
			look = min(look, g.spec.IdleTimeout/4)
		case left <= 0:
			u.i.retire("idle")
			spare--
		default:
			// The router may forget when it last used an address before
			// IdleTimeout is over: look more often than that.
			look = min(look, left, g.spec.IdleTimeout/4)
		}
	}
	return max(look, leastLook)
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
