package endpoint

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/kubefaas/caddy-kubefaas/function"
)

const (
	// memory is the longest that a failure is remembered, and the shortest
	// between two tries at what is not urgent.
	memory = time.Second
	// noScaler is how long an executor is believed that it cannot scale.
	noScaler = time.Minute
	// downMemory is how long it is remembered that the executor was down.
	downMemory = time.Minute
	// idleTTLs is after how many lifetimes without a request an address is
	// not trusted any more: its place may have been given to another function.
	idleTTLs = 10
)

// errDead is how a swept entry turns a request away; it looks for the new one.
var errDead = errors.New("swept")

// entry is what is known of one function.
type entry struct {
	pool *Pool
	key  function.Key

	mu     sync.Mutex
	dead   bool // not in the pool any more
	pruned bool // not configured any more: goes as soon as it is idle

	// Of the latest request; configurations change while a key stays.
	fn       *function.Function
	executor Executor
	settings *Settings

	addrs    []*address
	gone     []*address // dropped, with requests on them
	next     int        // where pick begins
	serial   uint64     // of the latest address
	expires  time.Time  // when to ask whether the addresses still hold
	lastUsed time.Time

	waiters queue
	flight  *flight // finds an address; requests wait for it
	refresh *flight // asks whether the addresses still hold
	tail    *flight // waits for the slower addresses of an answer
	scaling *flight // asks for capacity

	refreshAfter time.Time
	scaleAfter   time.Time
	fixedUntil   time.Time // the executor cannot scale this function, as far as is known

	failure   error // told to requests until failUntil
	failUntil time.Time
	down      bool            // the last flight exhausted its retries
	ramp      backoff.BackOff // of an abandoned flight whose executor failed
	askAfter  time.Time       // when the ramp allows the next call

	count counters
}

// counters are an entry's, for Snapshot.
type counters struct {
	leases, calls, errors, coldStarts uint64
	lastError                         error
	lastErrorAt                       time.Time
}

// acquire returns a lease, or the place in the waiting room that the request
// takes, or an error.
func (e *entry) acquire(ctx context.Context, c *Call, now time.Time) (*Lease, *waiter, error) {
	e.mu.Lock()
	if e.dead {
		e.mu.Unlock()
		return nil, nil, errDead
	}
	e.adopt(c, now)
	var idle []*address
	if len(e.addrs) > 0 && !now.Before(e.expires) {
		idle = e.expired(ctx, c, now)
	}
	e.lastUsed = now
	if e.waiters.n == 0 {
		if a := e.pick(); a != nil {
			e.lease(a)
			e.mu.Unlock()
			return &Lease{Cached: true, address: a}, nil, nil
		}
	}
	w, err := e.enter(ctx, c, now)
	if err == nil {
		e.settle(now)
	}
	e.mu.Unlock()
	e.parted(idle, errForgotten)
	return nil, w, err
}

// adopt takes over what the latest request brings along.
func (e *entry) adopt(c *Call, now time.Time) {
	e.executor, e.settings = c.Executor, c.Settings
	if e.fn == c.Function {
		return
	}
	before := e.limit()
	e.fn = c.Function
	if e.waiters.n > 0 && e.limit() != before {
		e.settle(now)
	}
}

// expired begins to refresh the addresses, which serve meanwhile. Only if
// nobody used them for very long are they dropped; it returns them then.
func (e *entry) expired(ctx context.Context, c *Call, now time.Time) []*address {
	if e.busy() == 0 && now.Sub(e.lastUsed) > idleTTLs*c.Settings.ttl() {
		e.stopBackground()
		return e.drop(everyAddress)
	}
	if e.refresh == nil && !now.Before(e.refreshAfter) {
		e.startRefresh(c.from(ctx))
	}
	return nil
}

// settle restores what must hold whenever the lock is let go: a request waits
// only while no address has a place and something is under way to change that.
func (e *entry) settle(now time.Time) {
	for w := e.waiters.first; w != nil; w = e.waiters.first {
		a := e.pick()
		if a == nil {
			break
		}
		e.lease(a)
		e.decide(w, a, nil)
	}
	w := e.waiters.first
	switch {
	case w == nil || e.flight != nil:
	case len(e.addrs) == 0:
		e.startFlight(w.call)
	case e.scaling == nil && time.Now().After(e.fixedUntil):
		if s, ok := w.call.Executor.(Scaler); ok {
			e.startScaling(w.call, s)
		}
	}
}

// lease counts a request on an address.
func (e *entry) lease(a *address) {
	a.inFlight++
	a.load.n++
	e.count.leases++
}

// fail tells an error to everyone who waits.
func (e *entry) fail(err error) {
	for w := e.waiters.first; w != nil; w = e.waiters.first {
		e.decide(w, nil, err)
	}
}

// remember makes requests of the next second fail at once, give or take, so
// that functions which failed together do not ask together.
func (e *entry) remember(err error, now time.Time) {
	e.failure = err
	e.failUntil = now.Add(memory - time.Duration(rand.Int64N(int64(memory/5))))
}

// limit is how many requests an address gets at once; 0 is no limit.
func (e *entry) limit() int {
	if e.fn == nil {
		return 0
	}
	return e.fn.Concurrency
}

// busy is how many requests are on the function's addresses.
func (e *entry) busy() int {
	n := 0
	for _, a := range e.addrs {
		n += a.inFlight
	}
	for _, a := range e.gone {
		n += a.inFlight
	}
	return n
}

// function returns the latest metadata.
func (e *entry) function() *function.Function {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fn
}

// stopBackground ends what nobody waits for.
func (e *entry) stopBackground() {
	for _, f := range []*flight{e.refresh, e.tail} {
		if f != nil {
			f.cancel()
		}
	}
	e.refresh, e.tail = nil, nil
}
