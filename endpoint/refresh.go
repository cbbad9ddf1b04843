package endpoint

import (
	"slices"
	"time"
)

// startRefresh begins to ask whether the addresses still hold. They serve
// meanwhile, and after a failure too.
func (e *entry) startRefresh(call Call) {
	if e.tail != nil {
		e.tail.cancel()
		e.tail = nil
	}
	e.refresh = e.launch(call, call.Settings.coldStart(), (*flight).renew)
}

// renew asks once. The same answer renews the addresses; if part of it is
// known, the rest of what was known goes; if all of it is new, the first new
// address that listens takes the place of the old ones.
func (f *flight) renew() {
	addrs, err := f.ask()
	if err != nil {
		f.notRenewed(err)
		return
	}
	fresh, kept := f.compare(addrs)
	now := time.Now()
	for _, addr := range fresh {
		f.aim.CompareAndSwap(nil, f.probe(addr, now))
	}
	if kept {
		f.rest()
		return
	}
	for {
		select {
		case d := <-f.dials:
			if f.listening(d) {
				f.swap(d, addrs)
				f.rest()
				return
			}
		case <-f.ctx.Done():
			f.notRenewed(f.verdict())
			return
		}
	}
}

// compare holds an answer against what is known. It returns the addresses to
// dial, and whether the others of the answer keep the function served.
func (f *flight) compare(answer []string) (fresh []string, kept bool) {
	e, now := f.e, time.Now()
	e.mu.Lock()
	if e.refresh != f {
		e.mu.Unlock()
		return nil, true
	}
	for _, host := range answer {
		if i := e.index(host); i >= 0 {
			e.addrs[i].extra, kept = false, true
		} else if !slices.Contains(fresh, host) {
			fresh = append(fresh, host)
		}
	}
	var dropped []*address
	if kept {
		dropped = f.renewed(answer, now)
		if len(fresh) > 0 {
			e.tail = f
		}
		e.settle(now)
	}
	e.mu.Unlock()
	f.changed(dropped, answer)
	return fresh, kept
}

// swap replaces the known addresses by one that listens.
func (f *flight) swap(d dialed, answer []string) {
	e, now := f.e, time.Now()
	p := f.phases(d, now)
	e.mu.Lock()
	if e.refresh != f {
		e.mu.Unlock()
		d.close()
		return
	}
	replaced := e.pool.stash.put(d.addr, d.conn)
	e.install(d.addr, false, p, now)
	dropped := f.renewed(answer, now)
	e.tail = f
	e.settle(now)
	e.mu.Unlock()
	closeConn(replaced)
	f.changed(dropped, answer)
}

// renewed gives the addresses of an answer another lifetime and drops the
// others. An address got by EnsureCapacity need not be in the answer: it
// stays while it is used.
func (f *flight) renewed(answer []string, now time.Time) []*address {
	e := f.e
	ttl := f.call.Settings.ttl()
	e.refresh = nil
	e.expires = now.Add(ttl)
	e.refreshAfter = now.Add(memory) // however often an address is invalidated
	return e.drop(func(a *address) bool {
		if a.extra && (a.inFlight > 0 || now.Sub(a.lastUsed) < ttl) {
			return false
		}
		return !slices.Contains(answer, a.host)
	})
}

// changed tells of addresses that an answer replaced.
func (f *flight) changed(dropped []*address, answer []string) {
	if len(dropped) == 0 {
		return
	}
	old := make([]string, len(dropped))
	for i, a := range dropped {
		old[i] = a.host
		f.e.pool.stash.drop(a.host)
	}
	f.e.pool.events.changed(f.call.Function, old, answer)
}

// notRenewed keeps the addresses for another try soon, unless the executor
// says that there is no such function.
func (f *flight) notRenewed(err error) {
	e, now := f.e, time.Now()
	e.mu.Lock()
	if e.refresh != f {
		e.mu.Unlock()
		return
	}
	e.refresh = nil
	e.refreshAfter = now.Add(memory)
	var dropped []*address
	if isNotFound(err) {
		dropped = e.drop(everyAddress)
		e.remember(err, now)
		e.fail(err)
	}
	e.mu.Unlock()
	e.parted(dropped, err)
	e.pool.events.failed(f.call.Function, err)
}
