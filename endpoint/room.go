package endpoint

import (
	"context"
	"time"
)

// slack is how much longer a request waits than a flight lasts: both end at
// the same moment otherwise, and the flight knows better what went wrong.
const slack = 20 * time.Millisecond

// waiter is a request in the waiting room. Fields are under entry.mu, but for
// address and err, which do not change once ready is closed.
type waiter struct {
	entry      *entry
	prev, next *waiter
	queued     bool
	serial     uint64 // of the latest address when it came
	call       Call
	ready      chan struct{}
	address    *address
	err        error
}

// queue holds the waiters of a function in order of arrival.
type queue struct {
	first, last *waiter
	n           int
}

func (q *queue) push(w *waiter) {
	w.queued, w.prev = true, q.last
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.n++
}

func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued, w.prev, w.next = false, nil, nil
	q.n--
}

// enter takes a place in the waiting room, unless it is full or the answer
// was an error a moment ago.
func (e *entry) enter(ctx context.Context, c *Call, now time.Time) (*waiter, error) {
	if e.failure != nil && len(e.addrs) == 0 && e.flight == nil {
		if now.Before(e.failUntil) {
			return nil, e.failure
		}
		e.failure = nil
	}
	perFunction, total := c.Settings.room()
	if e.waiters.n >= perFunction {
		var running time.Duration
		if e.flight != nil {
			running = now.Sub(e.flight.began)
		}
		return nil, &BusyError{ErrWaitingRoomFull, retryAfter(running)}
	}
	if e.pool.waiting.Add(1) > int64(total) {
		e.pool.waiting.Add(-1)
		return nil, &BusyError{ErrWaitingRoomFull, retryAfter(0)}
	}
	w := &waiter{entry: e, serial: e.serial, call: c.from(ctx), ready: make(chan struct{})}
	e.waiters.push(w)
	return w, nil
}

// from copies a call for use beyond the request that brought it.
func (c *Call) from(ctx context.Context) Call {
	call := *c
	call.OnWait = nil
	if call.Values == nil {
		call.Values = ctx
	}
	return call
}

// decide takes a waiter out of the room and tells it its address or error.
func (e *entry) decide(w *waiter, a *address, err error) {
	e.dequeue(w)
	w.address, w.err = a, err
	close(w.ready)
}

func (e *entry) dequeue(w *waiter) {
	e.waiters.remove(w)
	e.pool.waiting.Add(-1)
}

// wait blocks until the waiter's fate is decided or its request ends.
func (w *waiter) wait(ctx context.Context, c *Call, began time.Time) (*Lease, error) {
	taken := false
	defer func() {
		if !taken { // also if OnWait panics
			w.leave()
		}
	}()
	timer := time.NewTimer(c.Settings.coldStart() + slack)
	defer timer.Stop()
	if c.OnWait != nil {
		c.OnWait()
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		if err := w.overdue(); err != nil {
			return nil, err
		}
	}
	taken = true
	if w.err != nil {
		return nil, w.err
	}
	l := &Lease{address: w.address, Waited: time.Since(began)}
	if w.address.serial > w.serial { // neither changes any more
		l.Cold, l.Phases = true, w.address.phases
	}
	return l, nil
}

// leave gives back what the waiter has: its place in the room, or the place
// on an address that it was granted and will not use.
func (w *waiter) leave() {
	e := w.entry
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case w.queued:
		e.dequeue(w)
		e.abandoned()
	case w.address != nil:
		e.release(w.address)
	}
}

// overdue takes a waiter out of the room that waited for too long, and says
// what it waited for. It returns nil if the waiter's fate has been decided.
func (w *waiter) overdue() error {
	e := w.entry
	e.mu.Lock()
	defer e.mu.Unlock()
	if !w.queued {
		return nil
	}
	err := ErrColdStartTimeout
	switch {
	case len(e.addrs) > 0:
		err = &BusyError{ErrConcurrencyLimit, retryAfter(0)}
	case e.flight != nil:
		err = e.flight.verdict()
	}
	e.dequeue(w)
	e.abandoned()
	return err
}

// abandoned ends what is done for the sake of those who wait, if none is left.
func (e *entry) abandoned() {
	if e.waiters.n > 0 {
		return
	}
	if e.flight != nil {
		e.flight.cancel()
		e.flight = nil
	}
	if e.scaling != nil {
		e.scaling.cancel()
		e.scaling = nil
	}
}
