package process

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Executor is one configuration's programs on the shared runtime.
type Executor struct {
	rt    *Runtime
	specs map[function.Ref]Spec

	mu      sync.Mutex
	started bool
	stopped bool
	err     error
	groups  map[function.Ref]*group
}

// NewExecutor returns an executor for the specs, which it completes with
// their defaults; two specs for one function are an error, and so is one that
// does not hold. Nothing is started yet. Stop has to be called, even when
// Start never was.
func NewExecutor(r *Runtime, specs []Spec) (*Executor, error) {
	e := &Executor{rt: r, specs: make(map[function.Ref]Spec, len(specs)), groups: make(map[function.Ref]*group, len(specs))}
	for _, s := range specs {
		s = s.WithDefaults()
		if err := s.Validate(); err != nil {
			return nil, err
		}
		if _, twice := e.specs[s.Ref]; twice {
			return nil, fmt.Errorf("function %s: it has two programs", s.Ref)
		}
		e.specs[s.Ref] = s
	}
	return e, nil
}

// Start registers the programs. One that runs already, for an earlier
// configuration, is left alone; one that runs in another revision is started
// at once, so that it is there when the earlier configuration stops; and the
// instances that every function has to have are started. It does not wait for
// any of them. A second call does nothing.
func (e *Executor) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.stopped {
		return e.err
	}
	e.started = true
	for ref, spec := range e.specs {
		g, err := e.rt.hold(e, spec)
		if err != nil {
			e.err = err
			return err
		}
		e.groups[ref] = g
	}
	return nil
}

// Stop gives the programs up. Those that no other configuration has finish
// their requests and are stopped, which Stop does not wait for.
func (e *Executor) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return
	}
	e.stopped = true
	for _, g := range e.groups {
		e.rt.release(e, g)
	}
}

// Addresses returns the addresses of all of the function's instances that are
// ready. When there is none it starts one and waits until that is ready or
// ctx ends; the instance stays either way. The error is a *NotFoundError, a
// *StartError, an *ExitError (the last two also while the back-off forbids
// another start, at once and wrapped), ErrClosed, or ctx's.
func (e *Executor) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	var addrs []string
	err := e.with(fn.Ref, func(g *group) (err error) {
		addrs, err = g.addresses(ctx, fn.Key())
		return err
	})
	return addrs, err
}

// EnsureCapacity starts one more instance and returns its address when it is
// ready; callers that come while one is starting share it. ready is how many
// the caller knows: when there are more, it gets one of those; busy is how
// many of them are at their limit. At the function's maximum the error is
// ErrAtMaximum, wrapped; the others are those of Addresses.
func (e *Executor) EnsureCapacity(ctx context.Context, fn *function.Function, ready, busy int) (string, error) {
	_ = busy // the caller asks because all are; there is nothing to judge
	var addr string
	err := e.with(fn.Ref, func(g *group) (err error) {
		addr, err = g.more(ctx, fn.Key(), ready)
		return err
	})
	return addr, err
}

// with does something with the function's group. Requests outlive their
// configuration: when that is gone, they are served by the latest one's
// program.
func (e *Executor) with(ref function.Ref, do func(*group) error) error {
	// The router may be up before this executor was started.
	if err := e.Start(); err != nil {
		return err
	}
	e.mu.Lock()
	g := e.groups[ref]
	e.mu.Unlock()
	if g == nil {
		return &NotFoundError{ref}
	}
	for {
		err := do(g)
		if !errors.Is(err, errRetired) {
			return err
		}
		if g, err = e.rt.latest(ref); err != nil {
			return err
		}
	}
}

// Revision returns the revision of the function's program; "" when it has
// none.
func (e *Executor) Revision(ref function.Ref) string {
	if s, ok := e.specs[ref]; ok {
		return s.Revision()
	}
	return ""
}

// Snapshot describes the instances of this configuration's functions, also
// those that still run for an earlier one, ordered by function and age.
func (e *Executor) Snapshot() []Status {
	return e.rt.snapshot(func(ref function.Ref) bool {
		_, ok := e.specs[ref]
		return ok
	})
}

// Functions returns the functions that have a program, in no order.
func (e *Executor) Functions() []function.Ref {
	out := make([]function.Ref, 0, len(e.specs))
	for ref := range maps.Keys(e.specs) {
		out = append(out, ref)
	}
	return out
}
