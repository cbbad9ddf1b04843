package endpoint

import (
	"context"
	"time"
)

// startScaling begins to ask for addresses, because requests wait for a place
// and all known addresses are at their limit.
func (e *entry) startScaling(call Call, s Scaler) {
	e.scaling = e.launch(call, 0, func(f *flight) { f.scale(s) })
}

// scale asks for one address after the other until nobody waits. After a call
// that brought none it asks again a second later.
func (f *flight) scale(s Scaler) {
	for {
		ready, busy, delay, wanted := f.shortage()
		switch {
		case !wanted:
			return
		case delay > 0:
			sleep(f.ctx, delay)
		default:
			f.grow(s, ready, busy)
		}
	}
}

// shortage returns how many addresses there are, how many of them are at
// their limit, and how long to wait with the next call. Unless more capacity
// is wanted, it ends the flight's hold on the entry.
func (f *flight) shortage() (ready, busy int, delay time.Duration, wanted bool) {
	e := f.e
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.scaling != f {
		return 0, 0, 0, false
	}
	if e.waiters.n == 0 || len(e.addrs) == 0 || time.Now().Before(e.fixedUntil) || f.ctx.Err() != nil {
		e.scaling = nil
		return 0, 0, 0, false
	}
	for _, a := range e.addrs {
		if a.load.n >= e.limit() {
			busy++
		}
	}
	return len(e.addrs), busy, time.Until(e.scaleAfter), true
}

// grow asks for an address and adds it when it listens.
func (f *flight) grow(s Scaler, ready, busy int) {
	e := f.e
	ctx, cancel := context.WithTimeout(f.ctx, f.call.Settings.coldStart())
	defer cancel()
	f.began = time.Now()
	addr, err := s.EnsureCapacity(ctx, f.call.Function, ready, busy)
	if isUnsupported(err) {
		// For a while only: the executor may be upgraded.
		e.mu.Lock()
		e.fixedUntil = time.Now().Add(noScaler)
		e.mu.Unlock()
		return
	}
	if err == nil && addr == "" {
		err = ErrNoAddress
	}
	f.counted(err)
	if err == nil && !e.knows(addr) && f.awaitAddress(ctx, addr) {
		return
	}
	e.mu.Lock()
	e.scaleAfter = time.Now().Add(memory)
	e.mu.Unlock()
	if err != nil && f.ctx.Err() == nil {
		e.pool.events.failed(f.call.Function, err)
	}
}

// awaitAddress dials an address until it listens and adds it.
func (f *flight) awaitAddress(ctx context.Context, addr string) bool {
	pr := f.probe(addr, time.Now())
	defer pr.cancel()
	for {
		select {
		case d := <-f.dials:
			if f.listening(d) {
				f.add(d, true, func() bool { return f.e.scaling == f })
				return true
			}
		case <-ctx.Done():
			delete(f.probes, addr)
			return false
		}
	}
}

func (e *entry) knows(host string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.index(host) >= 0
}
