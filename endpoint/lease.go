package endpoint

import (
	"slices"
	"time"
)

// Lease is a request's hold on an address.
type Lease struct {
	// Cached: the address was known and had a place; the request did not wait.
	Cached bool
	// Cold: the request waited until this address listened.
	Cold bool
	// Waited is how long the request waited, for a start or for a place.
	Waited time.Duration
	// Phases are those of the start the request waited for, which may have
	// begun before it came.
	Phases

	address *address
	// Under entry.mu.
	released, responding bool
}

// Address is where to send the request: "host:port".
func (l *Lease) Address() string { return l.address.host }

// Responding says that the response's header arrived: the address is in use,
// and Taps yields it at least once, and as long as the lease is held.
func (l *Lease) Responding() {
	a := l.address
	a.entry.mu.Lock()
	defer a.entry.mu.Unlock()
	if l.released || l.responding {
		return
	}
	l.responding = true
	a.responding++
	if !a.tapped {
		a.tapped = true
		a.entry.pool.taps.add(a)
	}
}

// Release ends the hold, and lets the first request in that waits for a
// place. Only the first call counts.
func (l *Lease) Release() {
	a := l.address
	a.entry.mu.Lock()
	defer a.entry.mu.Unlock()
	if l.released {
		return
	}
	l.released = true
	if l.responding {
		a.responding--
	}
	a.entry.release(a)
}

// release frees one place of an address.
func (e *entry) release(a *address) {
	a.inFlight--
	a.load.n--
	if a.inFlight > 0 && e.waiters.n == 0 {
		return
	}
	now := time.Now()
	a.lastUsed, e.lastUsed = now, now
	if a.gone && a.inFlight == 0 {
		e.gone = slices.DeleteFunc(e.gone, func(b *address) bool { return a == b })
	}
	if e.waiters.n > 0 {
		e.settle(now)
	}
}

// Invalidate says that the address does not serve; it gets no new request.
// It reports whether that was news: of many requests that fail on one
// address, one invalidates it, and none can take away the address that
// replaced it. The lease is still to be released.
func (l *Lease) Invalidate(why error) bool {
	e := l.address.entry
	return e.invalidate(why, func(a *address) bool { return a == l.address })
}

// invalidate drops the addresses that match. Requests that wait get a flight.
func (e *entry) invalidate(why error, match func(*address) bool) bool {
	e.mu.Lock()
	dropped := e.drop(match)
	if len(dropped) > 0 {
		e.expires = time.Time{} // the addresses that are left may not be all: ask soon
		e.settle(time.Now())
	}
	e.mu.Unlock()
	e.parted(dropped, why)
	return len(dropped) > 0
}
