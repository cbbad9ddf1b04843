package h1

import (
	"sync"
	"time"
)

// pool keeps idle connections by address, the latest used on top. Its one timer
// runs only while something is idle.
type pool struct {
	mu    sync.Mutex
	addrs map[string]*addrConns
	sweep *time.Timer // nil while nothing is idle
	// refuse is set by dropAll until the next get: connections in use at that
	// moment are closed when they come back.
	refuse bool
}

// addrConns are the connections of one address; guarded by the pool's lock.
type addrConns struct {
	pool    *pool
	addr    string
	idle    []*conn // by idleSince, the oldest first
	live    int     // idle, in use, and being made
	dialing int     // being made
	queue   []*seeker
	dropped bool // invalidated: what is in use is closed when it comes back
}

// get takes an idle connection, or returns nil. Whether it is still alive is seen when
// a request is sent.
func (p *pool) get(addr string, now time.Time, keep time.Duration) *conn {
	for {
		c := p.pop(addr)
		if c == nil {
			return nil
		}
		if now.Sub(c.idleSince) < keep {
			return c
		}
		c.close()
	}
}

func (p *pool) pop(addr string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
	a := p.addrs[addr]
	if a == nil || len(a.idle) == 0 {
		return nil
	}
	last := len(a.idle) - 1
	c := a.idle[last]
	a.idle[last] = nil
	a.idle = a.idle[:last]
	return c
}

// join counts a new connection.
func (p *pool) join(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.home(c.addr)
	a.live++
	c.home = a
}

// home returns the connections of an address. The lock is held.
func (p *pool) home(addr string) *addrConns {
	a := p.addrs[addr]
	if a == nil {
		a = &addrConns{pool: p, addr: addr}
		if p.addrs == nil {
			p.addrs = make(map[string]*addrConns)
		}
		p.addrs[addr] = a
	}
	return a
}

// leave counts a connection out; an address without connections is forgotten.
func (a *addrConns) leave() {
	a.pool.mu.Lock()
	defer a.pool.mu.Unlock()
	a.live--
	if a.live == 0 && a.pool.addrs[a.addr] == a {
		delete(a.pool.addrs, a.addr)
	}
}

// put makes a connection idle. It returns false if the pool has no place for it;
// the connection is then still the caller's.
func (p *pool) put(c *conn, limit int, keep time.Duration) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	a := c.home
	if p.refuse || a.dropped {
		return false
	}
	if s := a.first(); s != nil {
		c.reused, c.idleSince = true, now
		s.grant <- c
		return true
	}
	if len(a.idle) >= limit {
		return false
	}
	c.reused = true
	c.idleSince = now
	a.idle = append(a.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(keep, func() { p.expire(keep) })
	}
	return true
}

// expire closes what has been idle for too long and sleeps until the next is due.
func (p *pool) expire(keep time.Duration) {
	now := time.Now()
	var old []*conn
	var next time.Duration = -1
	p.mu.Lock()
	for _, a := range p.addrs {
		n := 0
		for n < len(a.idle) && now.Sub(a.idle[n].idleSince) >= keep {
			n++
		}
		old = append(old, a.idle[:n]...)
		rest := copy(a.idle, a.idle[n:])
		clear(a.idle[rest:])
		a.idle = a.idle[:rest]
		if rest > 0 {
			if due := keep - now.Sub(a.idle[0].idleSince); next < 0 || due < next {
				next = due
			}
		}
	}
	if next < 0 {
		p.sweep = nil
	} else {
		p.sweep.Reset(next)
	}
	p.mu.Unlock()
	closeAll(old)
}

// drop closes the idle connections of an address, and those in use when they
// come back.
func (p *pool) drop(addr string) {
	p.mu.Lock()
	a := p.addrs[addr]
	var idle []*conn
	if a != nil {
		delete(p.addrs, addr)
		a.dropped = true
		idle, a.idle = a.idle, nil
		for s := a.first(); s != nil; s = a.first() {
			a.permit(s) // let each find out for itself
		}
	}
	p.mu.Unlock()
	closeAll(idle)
}

// dropAll closes every idle connection.
func (p *pool) dropAll() {
	var idle []*conn
	p.mu.Lock()
	p.refuse = true
	for _, a := range p.addrs {
		idle = append(idle, a.idle...)
		a.idle = nil
	}
	p.mu.Unlock()
	closeAll(idle)
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}
