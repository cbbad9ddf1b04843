package endpoint

import (
	"errors"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// errInvalidated is why an address went that Pool.Invalidate was told of.
var errInvalidated = errors.New("reported as not serving")

// Invalidate takes an address out of use, by its text, and reports whether it
// was in use. Requests on it go on and are still counted. A request that
// failed on its lease calls Lease.Invalidate instead, which cannot hit an
// address that came later.
func (p *Pool) Invalidate(key function.Key, addr string) bool {
	e := p.known(key)
	return e != nil && e.invalidate(errInvalidated, func(a *address) bool { return a.host == addr })
}

// Forget drops all that is remembered of a function, at any state of its
// configuration: addresses and failures. It returns how many addresses that
// were. Requests on them go on, and requests that wait go on waiting.
func (p *Pool) Forget(ref function.Ref) int {
	n := 0
	for _, e := range p.all(func(k function.Key) bool { return k.Namespace == ref.Namespace && k.Name == ref.Name }) {
		n += e.forget()
	}
	return n
}

func (e *entry) forget() int {
	e.mu.Lock()
	e.stopBackground()
	e.failure, e.down, e.ramp, e.fixedUntil = nil, false, nil, time.Time{}
	dropped := e.drop(everyAddress)
	e.settle(time.Now())
	e.mu.Unlock()
	e.parted(dropped, errForgotten)
	return len(dropped)
}

// Refresh makes the next request to a function have its executor asked
// whether its addresses still hold. That request does not wait for it.
func (p *Pool) Refresh(key function.Key) {
	if e := p.known(key); e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.expires, e.refreshAfter = time.Time{}, time.Time{}
	}
}

// Prune drops the functions for which keep is false: those that are not
// configured any more. Where requests wait or run, it happens once they are
// done.
func (p *Pool) Prune(keep func(function.Key) bool) {
	for _, e := range p.all(everyKey) {
		kept := keep(e.key)
		e.mu.Lock()
		e.pruned = !kept
		e.mu.Unlock()
	}
	p.remove(time.Now())
}
