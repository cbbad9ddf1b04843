package process

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Router is what is asked of the router: whether an address is in use. Its
// methods may be called at any time and from any goroutine; they must not
// call back into this package before they return.
type Router interface {
	// Use returns how many requests are on their way to the address, and when
	// the last one was; the zero time when that is not known.
	Use(key function.Key, addr string) (inFlight int, lastUsed time.Time)
	// Invalidate makes the router forget the address, and returns whether it
	// knew it. No request is sent there afterwards, but those that Use counts.
	Invalidate(key function.Key, addr string) bool
	// Refresh makes the router ask for the function's addresses again, when
	// it knows any.
	Refresh(key function.Key)
}

// Options are what a runtime may be given; every zero value will do.
type Options struct {
	// Logger gets the functions' output and what becomes of them.
	Logger *zap.Logger
	// Events is told of every start, readiness, stop and crash. It is called
	// from several goroutines and must not block.
	Events func(Event)
	// Stash is offered the connection that found a program ready, for the
	// first request to use, before anybody learns the address. If it returns
	// false, the connection is closed.
	Stash func(addr string, conn net.Conn) bool
	// DrainTimeout bounds how long a process that is to stop is left running
	// for the requests that it still has. Default: 5m.
	DrainTimeout time.Duration
	// CloseDrain is the same for Close, after which nobody else serves requests
	// any more. Default: 3s.
	CloseDrain time.Duration
	// Guard is a command that calls RunGuard with its standard input. It is
	// started with the first function, and outlives this process just long
	// enough to kill what the functions have started. Without it, only the
	// functions' own processes are sure to die when this process is killed.
	Guard []string
}

// Runtime owns all processes. There is one in a program, since it outlives
// the configurations that say what should run.
type Runtime struct {
	router       Router
	log          *zap.Logger
	events       func(Event)
	stash        func(string, net.Conn) bool
	drainTimeout time.Duration
	closeDrain   time.Duration
	ports        ports
	guard        guard
	starter      starter
	running      sync.WaitGroup // instances
	watching     sync.WaitGroup // supervisors
	starting     sync.WaitGroup // the starter
	hurry        chan struct{}  // closed when there is no more time for politeness
	enough       chan struct{}  // closed when no more requests are waited for

	mu     sync.Mutex
	byRef  map[function.Ref][]*group // those that a configuration has, the latest last
	all    map[*group]struct{}       // also those that are draining
	closed bool
}

// NewRuntime returns a runtime without any process. It has to be closed.
func NewRuntime(router Router, o Options) *Runtime {
	r := &Runtime{
		router: router, log: o.Logger, events: o.Events, stash: o.Stash, drainTimeout: o.DrainTimeout,
		starter: make(starter), hurry: make(chan struct{}), enough: make(chan struct{}),
		byRef: make(map[function.Ref][]*group), all: make(map[*group]struct{}),
	}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	r.guard.command, r.guard.log = o.Guard, r.log
	if r.closeDrain = o.CloseDrain; r.closeDrain <= 0 {
		r.closeDrain = 3 * time.Second
	}
	if r.drainTimeout <= 0 {
		r.drainTimeout = 5 * time.Minute
	}
	r.starting.Go(r.starter.run)
	return r
}

// lastWait bounds how long Close waits for processes that were killed.
const lastWait = 5 * time.Second

// Close stops everything: requests are waited for, then every process gets
// SIGTERM and its time to stop. When ctx ends, what is left is killed at
// once, and the error says so. Nothing can be started afterwards.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	clear(r.byRef)
	for g := range r.all {
		g.retire("shutting down")
	}
	r.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		r.running.Wait()
		r.watching.Wait()
		close(r.starter)
		r.starting.Wait()
		r.guard.close()
	}()
	// What is on its way now will not end soon: a WebSocket, say. The programs
	// get their time to stop all the same.
	patience := time.NewTimer(r.closeDrain)
	defer patience.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	case <-patience.C:
	}
	close(r.enough)
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	close(r.hurry)
	err := fmt.Errorf("stopping the functions: %w; the rest was killed", context.Cause(ctx))
	select {
	case <-done:
	case <-time.After(lastWait):
		err = fmt.Errorf("stopping the functions: some cannot be killed: %w", context.Cause(ctx))
	}
	return err
}

// hold registers a configuration's program, and returns its group. When the
// function runs with another program so far, the new one is started at once.
func (r *Runtime) hold(e *Executor, spec Spec) (*group, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	revision := spec.Revision()
	groups := r.byRef[spec.Ref]
	at := slices.IndexFunc(groups, func(g *group) bool { return g.revision == revision })
	var g *group
	if at >= 0 {
		g = groups[at]
		groups = slices.Delete(groups, at, at+1)
	} else {
		g = newGroup(r, spec.Ref, revision)
		r.all[g] = struct{}{}
	}
	g.hold(e, spec)
	if slices.ContainsFunc(groups, (*group).live) {
		g.begin()
	}
	if at < 0 {
		r.watching.Go(g.supervise)
	}
	r.byRef[spec.Ref] = append(groups, g)
	return g, nil
}

// release takes a configuration's hold of a group away.
func (r *Runtime) release(e *Executor, g *group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !g.drop(e) {
		return
	}
	left := slices.DeleteFunc(r.byRef[g.ref], func(o *group) bool { return o == g })
	if len(left) == 0 {
		delete(r.byRef, g.ref)
		return
	}
	r.byRef[g.ref] = left
}

// latest returns the group that the latest configuration has for a function.
func (r *Runtime) latest(ref function.Ref) (*group, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if groups := r.byRef[ref]; len(groups) > 0 {
		return groups[len(groups)-1], nil
	}
	return nil, &NotFoundError{ref}
}

func (r *Runtime) forget(g *group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, g)
}

func (r *Runtime) emit(e Event) {
	if r.events != nil {
		r.events(e)
	}
}
