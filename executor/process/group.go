package process

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// maxKeys is how many of a function's keys are remembered: configurations
// that differ in what the router knows of the function but not in its
// program.
const maxKeys = 8

// group is the instances of one function's program, at one revision.
type group struct {
	rt       *Runtime
	ref      function.Ref
	revision string
	kick     chan struct{} // something changed that tend has to look at

	mu         sync.Mutex
	holders    []holder // whose configurations have it; the last one's spec counts
	spec       Spec
	keys       []function.Key // the router's names for it, the latest last
	instances  []*instance    // all that have not gone, oldest first
	restarts   restarts
	restarted  int
	crashedYet bool // the next start is a restart
	lastExit   error
	lastExitAt time.Time
	retired    bool // no configuration has it any more
}

type holder struct {
	e    *Executor
	spec Spec
}

func newGroup(rt *Runtime, ref function.Ref, revision string) *group {
	return &group{rt: rt, ref: ref, revision: revision, kick: make(chan struct{}, 1), restarts: newRestarts()}
}

// hold adds a configuration. A function whose starts have failed is started
// again without delay: loading a configuration is how one says "try again".
func (g *group) hold(e *Executor, spec Spec) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holders = append(g.holders, holder{e, spec})
	g.spec = spec
	g.restarts.forgive()
	wake(g.kick)
}

// drop removes a configuration, and retires the group with the last one.
func (g *group) drop(e *Executor) (retired bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holders = slices.DeleteFunc(g.holders, func(h holder) bool { return h.e == e })
	if n := len(g.holders); n > 0 {
		g.spec = g.holders[n-1].spec
		wake(g.kick)
		return false
	}
	g.retireLocked("its configuration is gone")
	return true
}

func (g *group) retire(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retireLocked(reason)
}

func (g *group) retireLocked(reason string) {
	g.retired = true
	for _, i := range g.instances {
		i.retire(reason)
	}
	wake(g.kick)
}

// retire makes the instance end. The group's lock is held.
func (i *instance) retire(reason string) {
	if i.state == StateStopping {
		return
	}
	i.state, i.reason = StateStopping, reason
	close(i.stop)
}

// launch starts an instance. The lock is held.
func (g *group) launch() *instance {
	i := &instance{
		g: g, spec: g.spec, state: StateStarting, began: time.Now(),
		settled: make(chan struct{}), stop: make(chan struct{}),
	}
	if g.crashedYet {
		g.crashedYet = false
		g.restarted++
	}
	g.instances = append(g.instances, i)
	g.rt.running.Go(i.run)
	return i
}

// begin starts the first instance, if there is none.
func (g *group) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.retired && g.count(StateStarting)+g.count(StateReady) == 0 {
		g.launch()
	}
}

func (g *group) live() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count(StateStarting)+g.count(StateReady) > 0
}

func (g *group) count(s State) (n int) {
	for _, i := range g.instances {
		if i.state == s {
			n++
		}
	}
	return n
}

func (g *group) learn(key function.Key) {
	if n := len(g.keys); n > 0 && g.keys[n-1] == key {
		return
	}
	g.keys = slices.DeleteFunc(g.keys, func(k function.Key) bool { return k == key })
	g.keys = append(g.keys, key)
	if len(g.keys) > maxKeys {
		g.keys = slices.Delete(g.keys, 0, 1)
	}
}

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
