package h1

import (
	"context"
	"slices"
)

// defaultMaxDials is Transport.MaxDialsPerAddr's default.
const defaultMaxDials = 64

// seeker is a request that waits until it may dial, or until a connection becomes
// idle.
type seeker struct {
	grant chan *conn // gets a connection, or nil for the leave to dial; holds one
}

// first takes the seeker that has waited longest out of the queue; nil if there is
// none. The pool's lock is held.
func (a *addrConns) first() *seeker {
	if len(a.queue) == 0 {
		return nil
	}
	s := a.queue[0]
	a.queue[0] = nil
	a.queue = a.queue[1:]
	return s
}

// permit lets a seeker dial. The pool's lock is held.
func (a *addrConns) permit(s *seeker) {
	a.dialing++
	a.live++
	s.grant <- nil
}

// seek gets the leave to make a connection, or a connection that became idle while
// waiting for it. leave gives the former back.
func (p *pool) seek(ctx context.Context, addr string, most int) (*conn, *addrConns, error) {
	p.mu.Lock()
	a := p.home(addr)
	if a.dialing < most {
		a.dialing++
		a.live++
		p.mu.Unlock()
		return nil, a, nil
	}
	s := &seeker{grant: make(chan *conn, 1)}
	a.queue = append(a.queue, s)
	p.mu.Unlock()
	select {
	case c := <-s.grant:
		return c, a, nil
	case <-ctx.Done():
		a.giveUp(s)
		return nil, nil, ctx.Err()
	}
}

// giveUp takes a seeker out of the queue; what it was granted meanwhile goes to the
// next.
func (a *addrConns) giveUp(s *seeker) {
	p := a.pool
	p.mu.Lock()
	i := slices.Index(a.queue, s)
	if i >= 0 {
		a.queue = slices.Delete(a.queue, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		return
	}
	if c := <-s.grant; c != nil {
		c.close()
		return
	}
	a.dialed()
}

// dialed ends a dial, and lets the next seeker have its turn.
func (a *addrConns) dialed() {
	p := a.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	a.dialing--
	a.live--
	if s := a.first(); s != nil {
		a.permit(s)
		return
	}
	if a.live == 0 && p.addrs[a.addr] == a {
		delete(p.addrs, a.addr)
	}
}

// obtain makes a connection, or waits for one that becomes idle where as many are
// being made as may.
func (t *Transport) obtain(ctx context.Context, addr string) (*conn, error) {
	most := t.MaxDialsPerAddr
	if most <= 0 {
		most = defaultMaxDials
	}
	c, a, err := t.idle.seek(ctx, addr, most)
	if c != nil || err != nil {
		return c, err
	}
	nc, err := t.dial(ctx, addr)
	if err == nil {
		c = newConn(nc, addr)
		t.idle.join(c)
	}
	a.dialed()
	return c, err
}
