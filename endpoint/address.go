package endpoint

import (
	"slices"
	"time"
)

// address is one place where a function listens. Its identity, not its text,
// is what leases refer to: when the same host and port comes back after it
// was given up, that is another address. All fields are under entry.mu.
type address struct {
	entry  *entry
	host   string // "host:port"
	phases Phases
	ready  time.Time // when it was found to listen
	// serial orders the addresses of a function: a request that waited since
	// before this one was known waited for a start.
	serial uint64
	// extra: it came from EnsureCapacity, so the executor's plain answer need
	// not contain it.
	extra bool
	// gone: it gets no new request.
	gone       bool
	inFlight   int
	load       *load
	responding int
	lastUsed   time.Time
	tapped     bool // it is in the pool's tap set
}

// load is how many requests are on one host and port. When that comes back
// after it was given up, the requests of before may still run there: the two
// addresses share it, so that the limit holds for both together.
type load struct{ n int }

// pick returns the address with the fewest requests of those that have a
// place, going round among equals; nil if there is none.
func (e *entry) pick() *address {
	var best *address
	at := 0
	for i := range e.addrs {
		n := e.next + i
		if n >= len(e.addrs) {
			n -= len(e.addrs)
		}
		a := e.addrs[n]
		if e.limit() > 0 && a.load.n >= e.limit() {
			continue
		}
		if best == nil || a.load.n < best.load.n {
			best, at = a, n
		}
	}
	if at++; at >= len(e.addrs) {
		at = 0
	}
	e.next = at
	return best
}

// install makes an address known. One that is known already stays what it is.
func (e *entry) install(host string, extra bool, p Phases, now time.Time) *address {
	if i := e.index(host); i >= 0 { // two flights found it
		return e.addrs[i]
	}
	e.serial++
	a := &address{entry: e, host: host, ready: now, serial: e.serial, phases: p, extra: extra, lastUsed: now, load: new(load)}
	if i := slices.IndexFunc(e.gone, func(b *address) bool { return b.host == host }); i >= 0 {
		a.load = e.gone[i].load
	}
	e.addrs = append(e.addrs, a)
	e.pool.addresses.Add(1)
	return a
}

// index returns where a known address is, or -1.
func (e *entry) index(host string) int {
	return slices.IndexFunc(e.addrs, func(a *address) bool { return a.host == host })
}

// drop takes the addresses away that match, and returns them. Requests on
// them go on, and are still counted.
func (e *entry) drop(match func(*address) bool) []*address {
	var dropped []*address
	e.addrs = slices.DeleteFunc(e.addrs, func(a *address) bool {
		if !match(a) {
			return false
		}
		a.gone = true
		if a.inFlight > 0 {
			e.gone = append(e.gone, a)
		}
		dropped = append(dropped, a)
		return true
	})
	e.next = 0
	e.pool.addresses.Add(-int64(len(dropped)))
	return dropped
}

func everyAddress(*address) bool { return true }

// parted tells of addresses that were dropped, and closes the connections
// kept for them. No lock may be held.
func (e *entry) parted(dropped []*address, why error) {
	for _, a := range dropped {
		e.pool.stash.drop(a.host)
		e.pool.events.invalidated(e.function(), a.host, why)
	}
}
