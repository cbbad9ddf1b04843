package endpoint

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Status is what is known of one function at a moment.
type Status struct {
	Key       function.Key
	Function  *function.Function
	Addresses []AddressStatus
	// InFlight counts the requests on all addresses, those included that get
	// no new ones; Waiting those in the waiting room.
	InFlight, Waiting int
	// Starting: the executor is being asked for an address, or one is dialled.
	Starting bool
	// Leases counts requests that got an address; ExecutorCalls and
	// ExecutorErrors the calls of the executor; ColdStarts the flights that
	// found an address where none was known.
	Leases, ExecutorCalls, ExecutorErrors, ColdStarts uint64
	// LastError is the executor's, nil if it never failed.
	LastError   error
	LastErrorAt time.Time
}

// AddressStatus is what is known of one address.
type AddressStatus struct {
	Address  string
	Age      time.Duration // since it was found to listen
	InFlight int
	LastUsed time.Time
}

// Snapshot returns the status of every function, in order of namespace and
// name.
func (p *Pool) Snapshot() []Status {
	var list []Status
	for _, e := range p.all(everyKey) {
		if s, ok := e.status(time.Now()); ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(
			cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name),
			cmp.Compare(a.Key.UID, b.Key.UID), cmp.Compare(a.Key.ResourceVersion, b.Key.ResourceVersion),
			cmp.Compare(a.Key.Revision, b.Key.Revision),
		)
	})
	return list
}

// status reports false for an entry that no request has come to yet, or that
// was swept.
func (e *entry) status(now time.Time) (Status, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{
		Key: e.key, Function: e.fn, InFlight: e.busy(), Waiting: e.waiters.n, Starting: e.flight != nil,
		Leases: e.count.leases, ExecutorCalls: e.count.calls, ExecutorErrors: e.count.errors,
		ColdStarts: e.count.coldStarts, LastError: e.count.lastError, LastErrorAt: e.count.lastErrorAt,
	}
	for _, a := range e.addrs {
		s.Addresses = append(s.Addresses, AddressStatus{a.host, now.Sub(a.ready), a.load.n, a.used(now)})
	}
	return s, e.fn != nil && !e.dead
}

// used is when the address was last used: now, if it is.
func (a *address) used(now time.Time) time.Time {
	if a.load.n > 0 {
		return now
	}
	return a.lastUsed
}

// Use returns how many requests are on an address of a function, whether or
// not it gets new ones, and when it was last used; the zero time if it is not
// known. An executor that stops idle instances calls Invalidate, so that no
// request can come between, and then this.
func (p *Pool) Use(key function.Key, addr string) (inFlight int, lastUsed time.Time) {
	e := p.known(key)
	if e == nil {
		return 0, time.Time{}
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, list := range [][]*address{e.addrs, e.gone} {
		for _, a := range list {
			if a.host != addr {
				continue
			}
			inFlight += a.inFlight
			if used := a.used(now); used.After(lastUsed) {
				lastUsed = used
			}
		}
	}
	return inFlight, lastUsed
}

func everyKey(function.Key) bool { return true }
