package endpoint

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// asking calls the executor again while a flight dials an address that does
// not listen: the function may have been started somewhere else since. One
// call at a time, on the back-off, and once a second when that has ended.
type asking struct {
	f       *flight
	delays  backoff.BackOff
	timer   *time.Timer // when to call next; stopped while not due
	active  bool        // a call is under way or due
	answers chan answer
}

type answer struct {
	addrs []string
	err   error
}

func newAsking(f *flight) *asking {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &asking{f: f, delays: f.call.Settings.backoff(), timer: t, answers: make(chan answer)}
}

// wake makes the executor be asked, unless it is or will be already.
func (a *asking) wake(urgent bool) {
	switch {
	case a.active:
	case urgent:
		a.active = true
		a.ask()
	default:
		a.schedule()
	}
}

// ask calls the executor in the background.
func (a *asking) ask() {
	a.f.children.Go(func() {
		got := a.f.consult()
		select {
		case a.answers <- got:
		case <-a.f.ctx.Done():
		}
	})
}

// answered waits for the next call to be due; not before the dials have
// something to say if the address is new.
func (a *asking) answered(changed bool) {
	if changed {
		a.active = false
		return
	}
	a.schedule()
}

func (a *asking) schedule() {
	a.active = true
	delay := a.delays.NextBackOff()
	if delay < 0 {
		delay = memory
	}
	a.timer.Reset(delay)
}

func (a *asking) stop() { a.timer.Stop() }
