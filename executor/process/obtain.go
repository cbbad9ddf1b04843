package process

import (
	"context"
	"fmt"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// How a group gives addresses away, starting instances for it.

// addresses returns all ready instances' addresses; when there is none, it
// starts one or joins the one that is starting, and waits.
func (g *group) addresses(ctx context.Context, key function.Key) ([]string, error) {
	for {
		g.mu.Lock()
		g.learn(key)
		if addrs := g.offer(time.Now()); len(addrs) > 0 {
			g.mu.Unlock()
			return addrs, nil
		}
		i, pause, err := g.next(time.Now())
		g.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if err := await(ctx, i, pause); err != nil {
			return nil, err
		}
	}
}

// offer gives the router all that is ready. The lock is held.
func (g *group) offer(now time.Time) (addrs []string) {
	for _, i := range g.instances {
		if i.state == StateReady {
			i.known, i.used = true, now
			addrs = append(addrs, i.addr)
		}
	}
	return addrs
}

// next returns the instance to wait for, or how long to wait before there may
// be one. The lock is held.
func (g *group) next(now time.Time) (*instance, time.Duration, error) {
	if g.retired {
		return nil, 0, errRetired
	}
	for _, i := range g.instances {
		if i.state == StateStarting {
			i.awaited = true
			return i, 0, nil
		}
	}
	pause, err := g.restarts.wait(now)
	if err != nil {
		return nil, 0, fmt.Errorf("%w (next start in %s)", err, pause.Round(time.Millisecond))
	}
	if pause > 0 {
		return nil, pause, nil
	}
	i := g.launch()
	i.awaited = true
	return i, 0, nil
}

// await waits for the instance, or for the pause when there is none. A
// failure that another start may mend is none.
func await(ctx context.Context, i *instance, pause time.Duration) error {
	if i == nil {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-i.settled:
		if i.again {
			return nil
		}
		return i.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// more starts a further instance, and returns its address.
func (g *group) more(ctx context.Context, key function.Key, seen int) (string, error) {
	for {
		g.mu.Lock()
		g.learn(key)
		if i := g.unseen(seen); i != nil {
			i.known, i.used = true, time.Now()
			g.mu.Unlock()
			return i.addr, nil
		}
		if g.count(StateStarting) == 0 && g.count(StateReady) >= g.spec.Max && !g.retired {
			g.mu.Unlock()
			return "", fmt.Errorf("function %s: %w (%d)", g.ref, ErrAtMaximum, g.spec.Max)
		}
		i, pause, err := g.next(time.Now())
		g.mu.Unlock()
		if err != nil {
			return "", err
		}
		if err := await(ctx, i, pause); err != nil {
			return "", err
		}
		if i != nil && g.take(i) {
			return i.addr, nil
		}
	}
}

// unseen returns a ready instance that the router seems not to know: one it
// was never given, or the newest, when it sees fewer than there are. The lock
// is held.
func (g *group) unseen(seen int) (newest *instance) {
	for _, i := range g.instances {
		if i.state != StateReady {
			continue
		}
		if !i.known {
			return i
		}
		newest = i
	}
	if g.count(StateReady) > seen {
		return newest
	}
	return nil
}

// take gives the router an instance that was waited for, if it is ready still.
func (g *group) take(i *instance) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.state != StateReady {
		return false
	}
	i.known, i.used = true, time.Now()
	return true
}
