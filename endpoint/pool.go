// Package endpoint maps functions to addresses, and does it once: however
// many requests wait for a function, its executor is asked by one flight that
// belongs to none of them. The package holds the address cache, the shared
// flights, the waiting room with its concurrency limits, and the connections
// with which new addresses were found to listen.
//
// Locks are taken in this order: Pool.mu, entry.mu, then any one of the small
// ones (stash, tap set, life). None is held over I/O or over a callback.
package endpoint

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Options are what a pool is made with. The zero value works.
type Options struct {
	// Dial opens a connection to an address. It must return soon after ctx is
	// done. Default: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Events are told what happens.
	Events Events
}

// Pool holds the addresses of functions and the requests that wait for one.
// It is safe for concurrent use.
type Pool struct {
	dial   func(ctx context.Context, addr string) (net.Conn, error)
	events Events
	ctx    context.Context // of every flight; done once Close was called
	cancel context.CancelFunc

	mu      sync.RWMutex
	entries map[function.Key]*entry
	sweeper *time.Timer // nil while there is nothing to sweep

	waiting   atomic.Int64
	addresses atomic.Int64
	probing   atomic.Int64 // addresses that are being dialled
	taps      tapSet
	stash     stash

	life   sync.Mutex
	closed bool
	work   sync.WaitGroup // flights and sweeps
}

// New makes a pool. Close stops it.
func New(o Options) *Pool {
	p := &Pool{dial: o.Dial, events: o.Events, entries: make(map[function.Key]*entry)}
	if p.dial == nil {
		var d net.Dialer
		p.dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Acquire returns a lease on an address of the function, of which the caller
// must call Release. If none is known it waits for the flight that finds one;
// if none has a place under the function's concurrency, for a place.
//
// Its errors: the cause of ctx's end; the executor's error; ErrColdStartTimeout;
// an *AddressError; a *BusyError around ErrWaitingRoomFull or
// ErrConcurrencyLimit; ErrNoAddress; ErrClosed.
func (p *Pool) Acquire(ctx context.Context, c *Call) (*Lease, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	now := time.Now()
	for {
		l, w, err := p.entry(c.Function).acquire(ctx, c, now)
		switch {
		case err == errDead:
			continue // it was swept between the look-up and the lock
		case w != nil:
			return w.wait(ctx, c, now)
		}
		return l, err
	}
}

// entry returns the function's entry, a new one if there is none.
func (p *Pool) entry(fn *function.Function) *entry {
	key := fn.Key()
	if e := p.known(key); e != nil {
		return e
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[key]
	if e == nil {
		e = &entry{pool: p, key: key}
		p.entries[key] = e
		p.armSweeper()
	}
	return e
}

// known returns the entry of a key, nil if there is none.
func (p *Pool) known(key function.Key) *entry {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.entries[key]
}

// all returns the entries for which keep is true.
func (p *Pool) all(keep func(function.Key) bool) []*entry {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var list []*entry
	for key, e := range p.entries {
		if keep(key) {
			list = append(list, e)
		}
	}
	return list
}

// Totals returns how many addresses are known and how many requests wait.
func (p *Pool) Totals() (addresses, waiting int) {
	return int(p.addresses.Load()), int(p.waiting.Load())
}

// TakeConn returns the connection with which addr was found to listen, nil if
// there is none, it is dead, or somebody took it. It is the caller's.
func (p *Pool) TakeConn(addr string) net.Conn { return p.stash.take(addr) }

// spawn runs f in a goroutine that Close waits for. It reports false after
// Close.
func (p *Pool) spawn(f func()) bool {
	p.life.Lock()
	defer p.life.Unlock()
	if p.closed {
		return false
	}
	p.work.Go(f)
	return true
}

// Close ends all flights and waits for them; requests that waited for one get
// ErrClosed. Leases stay good, and so does Acquire where an address is known:
// requests of an old configuration may still be under way.
func (p *Pool) Close() {
	p.life.Lock()
	p.closed = true
	p.life.Unlock()
	p.cancel()
	p.mu.Lock()
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	p.mu.Unlock()
	p.work.Wait()
	p.stash.close()
}
