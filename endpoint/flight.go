package endpoint

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// flight is one piece of work for a function, in a goroutine of its own. It
// belongs to no request: it has the values of the one that began it, not its
// cancellation. An entry has at most one of each kind, and a flight changes
// the entry only as long as the entry still points at it.
type flight struct {
	e       *entry
	call    Call
	ctx     context.Context
	cancel  context.CancelFunc
	began   time.Time
	patient bool // a temporary error of the executor is retried

	dials    chan dialed
	probes   map[string]*probe
	children sync.WaitGroup

	// What a request that runs out of time is told; see verdict.
	aim     atomic.Pointer[probe]
	lastErr atomic.Pointer[error]
}

// launch starts a flight. A bound of 0 is none. It returns nil after Close.
// It is called with entry.mu held, so work cannot look at the entry before
// the entry points at the flight.
func (e *entry) launch(call Call, bound time.Duration, work func(*flight)) *flight {
	f := &flight{
		e: e, call: call, began: time.Now(), patient: !e.down,
		dials: make(chan dialed), probes: make(map[string]*probe),
	}
	ctx := context.WithoutCancel(call.Values)
	if bound > 0 {
		f.ctx, f.cancel = context.WithTimeout(ctx, bound)
	} else {
		f.ctx, f.cancel = context.WithCancel(ctx)
	}
	if !e.pool.spawn(func() { f.run(work) }) {
		f.cancel()
		return nil
	}
	return f
}

// run does the work, and returns when nothing of it is left.
func (f *flight) run(work func(*flight)) {
	stop := context.AfterFunc(f.e.pool.ctx, f.cancel)
	work(f)
	stop()
	f.cancel()
	f.children.Wait()
}

// startFlight begins to find an address. What ran in the background was about
// addresses that are not known any more.
func (e *entry) startFlight(call Call) {
	e.stopBackground()
	if e.flight = e.launch(call, call.Settings.coldStart(), (*flight).resolve); e.flight == nil {
		e.fail(ErrClosed)
	}
}

// consult calls the executor once.
func (f *flight) consult() answer {
	addrs, err := f.call.Executor.Addresses(f.ctx, f.call.Function)
	if err == nil && len(addrs) == 0 {
		err = ErrNoAddress
	}
	f.counted(err)
	return answer{addrs, err}
}

// ask calls the executor once, and no longer than the flight lasts, even if an
// executor is deaf to its context.
func (f *flight) ask() ([]string, error) {
	answers := make(chan answer, 1)
	f.children.Go(func() { answers <- f.consult() })
	select {
	case a := <-answers:
		return a.addrs, a.err
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	}
}

// counted notes what a call of the executor came to. What it said because
// the flight was over says nothing about it.
func (f *flight) counted(err error) {
	e := f.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count.calls++
	switch {
	case err == nil:
		e.down, e.ramp = false, nil
	case f.ctx.Err() == nil:
		e.count.errors++
		e.count.lastError, e.count.lastErrorAt = err, time.Now()
		f.lastErr.Store(&err)
	}
}

// punctual does what may take longer than the flight lasts, since an executor can
// be deaf to its context: the requests are told in time. A goroutine for the
// executor's call would do that too, but its stack would have to grow for it.
func (f *flight) punctual(work func()) {
	f.children.Add(1)
	stop := context.AfterFunc(f.ctx, func() {
		defer f.children.Done()
		f.failed(f.verdict())
	})
	work()
	if stop() {
		f.children.Done()
	}
}

// answer calls the executor until it gives an answer other than a temporary
// error, the back-off ends or the flight's deadline is too near for one more
// call. An executor that was down the last time is called only once.
func (f *flight) answer() ([]string, error) {
	ramp := f.resumeRamp()
	for ramp != nil {
		got := f.consult()
		switch {
		case got.err == nil:
			return got.addrs, nil
		case f.ctx.Err() != nil:
			return nil, f.verdict()
		case !f.patient || !isTemporary(got.err):
			return nil, got.err
		}
		delay := f.climb(ramp)
		if delay < 0 {
			return nil, got.err
		}
		if !sleep(f.ctx, delay) {
			break
		}
	}
	return nil, f.verdict()
}

// verdict is why a flight ends that found nothing until it was ended.
func (f *flight) verdict() error {
	if f.e.pool.ctx.Err() != nil {
		return ErrClosed
	}
	if pr := f.aim.Load(); pr != nil {
		err := &AddressError{Addr: pr.addr, Timeout: true}
		if last := pr.last.Load(); last != nil {
			err.Err, err.Timeout = *last, isTimeout(*last)
		}
		return err
	}
	if last := f.lastErr.Load(); last != nil {
		//nolint:errorlint // what failed is the time: the executor's error must not be taken for it
		return fmt.Errorf("%w; the executor's last error: %v", ErrColdStartTimeout, *last)
	}
	return ErrColdStartTimeout
}

// failed ends the flight with an error, and tells it to all who wait.
func (f *flight) failed(err error) {
	e, now := f.e, time.Now()
	e.mu.Lock()
	current := e.flight == f
	if current {
		e.flight = nil
		if f.ctx.Err() == nil { // the executor said so, not the clock
			e.remember(err, now)
			e.down, e.ramp = isTemporary(err), nil
		}
		if len(e.addrs) > 0 { // capacity came meanwhile: they wait for a place
			e.settle(now)
		} else {
			e.fail(err)
		}
	}
	e.mu.Unlock()
	if current {
		f.e.pool.events.failed(f.call.Function, err)
	}
}

// sleep waits. It reports false if ctx was done first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// isUnsupported reports whether the executor cannot do what it was asked.
func isUnsupported(err error) bool { return errors.Is(err, errors.ErrUnsupported) }
