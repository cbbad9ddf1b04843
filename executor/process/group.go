package process

import (
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
