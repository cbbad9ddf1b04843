package endpoint

import "time"

// sweepEvery is how often entries are looked at that nothing needs any more.
const sweepEvery = 5 * time.Second

// armSweeper has the pool swept some time from now. Pool.mu must be held.
func (p *Pool) armSweeper() {
	if p.sweeper == nil && p.ctx.Err() == nil {
		p.sweeper = time.AfterFunc(sweepEvery, func() { p.spawn(p.sweep) })
	}
}

// sweep removes what nothing needs, and comes again while there is anything.
func (p *Pool) sweep() {
	now := time.Now()
	p.remove(now)
	p.forgetTaps(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweeper = nil
	if len(p.entries) > 0 {
		p.armSweeper()
	}
}

// remove removes the entries that nothing needs. They are looked for without
// the pool's lock: with many functions that takes a while, and every request
// would wait for it.
func (p *Pool) remove(now time.Time) {
	var idle []*entry
	for _, e := range p.all(everyKey) {
		e.mu.Lock()
		if e.idle(now) {
			idle = append(idle, e)
		}
		e.mu.Unlock()
	}
	if len(idle) == 0 {
		return
	}
	var dropped []*address
	p.mu.Lock()
	for _, e := range idle {
		e.mu.Lock()
		if e.idle(now) { // still
			e.stopBackground()
			dropped = append(dropped, e.drop(everyAddress)...)
			e.dead = true
			delete(p.entries, e.key)
		}
		e.mu.Unlock()
	}
	p.mu.Unlock()
	for _, a := range dropped {
		p.stash.drop(a.host)
	}
}

// idle reports whether the entry can go: nobody waits or is on an address,
// and what it remembers is of no use any more.
func (e *entry) idle(now time.Time) bool {
	if e.waiters.n > 0 || e.flight != nil || e.scaling != nil || e.busy() > 0 || e.dead {
		return false
	}
	if e.pruned || e.fn == nil {
		return true
	}
	if len(e.addrs) > 0 {
		return now.Sub(e.lastUsed) > idleTTLs*e.settings.ttl()
	}
	// That the executor was down is worth knowing for longer than its error:
	// without it the next request would begin with a ramp of calls again.
	since := now.Sub(e.count.lastErrorAt)
	return now.After(e.failUntil) && (since > downMemory || !e.down && e.ramp == nil)
}
