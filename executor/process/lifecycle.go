package process

import (
	"slices"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// What an instance's own goroutine tells its group.

// ready notes that the instance accepts requests.
func (g *group) ready(i *instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.state != StateStarting {
		return // retired in this very moment: run sees it next
	}
	i.state, i.readyAt = StateReady, time.Now()
	g.restarts.ready()
	wake(g.kick)
}

// announce has the router ask again, when nobody who waited has given it the
// new address.
func (g *group) announce(i *instance) {
	g.mu.Lock()
	skip := i.known || i.awaited || i.state != StateReady
	keys := slices.Clone(g.keys)
	g.mu.Unlock()
	if skip || g.rt.router == nil {
		return
	}
	for _, key := range keys {
		g.rt.router.Refresh(key)
	}
}

// failed notes that the start came to nothing, and returns how long it will
// be before the next.
func (g *group) failed(i *instance, err error) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	i.state, i.err = StateStopping, err
	i.again = g.restarts.diedAtStart(time.Now(), err)
	g.noteLocked(err)
	pause, _ := g.restarts.wait(time.Now())
	return pause
}

// crashed notes that a ready instance has ended.
func (g *group) crashed(i *instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i.state = StateStopping
	g.crashedYet = true
	g.restarts.died(time.Now(), time.Since(i.readyAt))
	wake(g.kick)
}

func (g *group) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.noteLocked(err)
}

func (g *group) noteLocked(err error) {
	g.crashedYet = true
	g.lastExit, g.lastExitAt = err, time.Now()
}

// remove forgets an instance of which nothing is left.
func (g *group) remove(i *instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.instances = slices.DeleteFunc(g.instances, func(o *instance) bool { return o == i })
	wake(g.kick)
}

// What it asks of the router, under every name that the router has for the
// function. The group's lock is not held: the router has its own.

func (g *group) invalidate(addr string) (known bool) {
	if g.rt.router == nil {
		return false
	}
	for _, key := range g.knownKeys() {
		known = g.rt.router.Invalidate(key, addr) || known
	}
	return known
}

func (g *group) use(addr string) (inFlight int, last time.Time) {
	if g.rt.router == nil {
		return 0, time.Time{}
	}
	for _, key := range g.knownKeys() {
		n, at := g.rt.router.Use(key, addr)
		inFlight += n
		if at.After(last) {
			last = at
		}
	}
	return inFlight, last
}

func (g *group) knownKeys() []function.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.keys)
}
