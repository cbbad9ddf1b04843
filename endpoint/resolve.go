package endpoint

import (
	"slices"
	"time"
)

// grace is how long the slower addresses of an answer have, after the first
// of them let the requests go.
const grace = time.Second

// resolve finds an address: it asks the executor, dials what it answers, and
// asks again for as long as that does not listen.
func (f *flight) resolve() {
	f.e.pool.events.started(f.call.Function)
	var addrs []string
	var err error
	f.punctual(func() { addrs, err = f.answer() })
	if err != nil {
		f.failed(err)
		return
	}
	first := f.aimFirst(addrs)
	if first.conn != nil {
		f.landing(first)
		return
	}
	asking := newAsking(f)
	defer asking.stop()
	if first.probe != nil {
		asking.wake(first.urgent)
	}
	for {
		select {
		case d := <-f.dials:
			if d.conn == nil {
				asking.wake(d.urgent)
			} else if f.landing(d) {
				return
			}
		case <-asking.timer.C:
			asking.ask()
		case a := <-asking.answers:
			if isNotFound(a.err) {
				f.failed(a.err)
				return
			}
			// Any other error matters less than an address that may listen yet.
			asking.answered(a.err == nil && f.aimAt(a.addrs))
		case <-f.ctx.Done():
			f.failed(f.verdict())
			return
		}
	}
}

// landing takes a connection. It reports whether the flight is over.
func (f *flight) landing(d dialed) bool {
	if !f.listening(d) {
		return false
	}
	if f.land(d) {
		f.rest()
	}
	return true
}

// aimFirst dials the addresses of the first answer. If there is one, as there is
// nearly always, the first dial is made here and now: most functions listen, and
// a goroutine costs more than the dial is worth. It returns what that dial has to
// tell.
func (f *flight) aimFirst(addrs []string) (d dialed) {
	if len(addrs) != 1 {
		f.aimAt(addrs)
		return dialed{}
	}
	pr := f.aimed(addrs[0], time.Now())
	f.aim.Store(pr)
	d, again := f.dialOnce(pr)
	if again {
		f.children.Go(func() { f.dialAgain(pr) })
	} else {
		f.dialled(pr)
	}
	return d
}

// aimAt dials the addresses that are new, and stops dialling those that are
// not among them. It reports whether the answer was another than before.
func (f *flight) aimAt(addrs []string) (changed bool) {
	now := time.Now()
	var old []string
	for addr, pr := range f.probes {
		if !slices.Contains(addrs, addr) {
			old = append(old, addr)
			pr.cancel()
			delete(f.probes, addr)
		}
	}
	var fresh []string
	for _, addr := range addrs {
		if f.probes[addr] == nil {
			fresh = append(fresh, addr)
			f.probe(addr, now)
		}
	}
	f.aim.Store(f.probes[addrs[0]])
	if len(old) > 0 {
		f.e.pool.events.changed(f.call.Function, old, fresh)
	}
	return len(fresh) > 0
}

// land makes the address known and lets the requests go. It reports whether
// anybody still wanted it.
func (f *flight) land(d dialed) bool {
	e, now := f.e, time.Now()
	p := f.phases(d, now)
	e.mu.Lock()
	if e.flight != f {
		e.mu.Unlock()
		d.close()
		return false
	}
	e.flight, e.tail = nil, f
	e.failure = nil
	e.expires, e.refreshAfter = now.Add(f.call.Settings.ttl()), time.Time{}
	e.count.coldStarts++
	// Before the requests go, so that the first of them finds it.
	replaced := e.pool.stash.put(d.addr, d.conn)
	e.install(d.addr, false, p, now)
	e.settle(now)
	e.mu.Unlock()
	closeConn(replaced)
	e.pool.events.ready(f.call.Function, d.addr, p)
	return true
}

// rest adds the slower addresses of an answer as they come up.
func (f *flight) rest() {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	defer f.endTail()
	for len(f.probes) > 0 {
		select {
		case d := <-f.dials:
			if f.listening(d) {
				f.add(d, false, func() bool { return f.e.tail == f })
			}
		case <-timer.C:
			return
		case <-f.ctx.Done():
			return
		}
	}
}

func (f *flight) endTail() {
	f.e.mu.Lock()
	defer f.e.mu.Unlock()
	if f.e.tail == f {
		f.e.tail = nil
	}
}

// add makes one address more known, if that is still wanted.
func (f *flight) add(d dialed, extra bool, wanted func() bool) {
	e, now := f.e, time.Now()
	p := f.phases(d, now)
	e.mu.Lock()
	if !wanted() {
		e.mu.Unlock()
		d.close()
		return
	}
	replaced := e.pool.stash.put(d.addr, d.conn)
	e.install(d.addr, extra, p, now)
	e.settle(now)
	e.mu.Unlock()
	closeConn(replaced)
	e.pool.events.ready(f.call.Function, d.addr, p)
}
