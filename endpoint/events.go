package endpoint

import (
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Phases is where the time of a cold start went.
type Phases struct {
	// Start is the time until the executor's answer, Dial from there until
	// the address listened.
	Start, Dial time.Duration
}

// Events are told to whoever wants to log or count them. Any may be nil. They
// are called with no lock held, from the goroutine in which the event
// happened, and should return soon.
type Events struct {
	// Started: the executor is about to be asked; requests wait.
	Started func(*function.Function)
	// Ready: an address listens that was not known before.
	Ready func(fn *function.Function, addr string, p Phases)
	// Changed: the executor gave other addresses than before.
	Changed func(fn *function.Function, from, to []string)
	// Invalidated: an address gets no new requests.
	Invalidated func(fn *function.Function, addr string, why error)
	// Failed: no address was found. Told once, however many requests waited.
	// After a failed refresh the known addresses go on serving.
	Failed func(fn *function.Function, err error)
}

func (e *Events) started(fn *function.Function) {
	if e.Started != nil {
		e.Started(fn)
	}
}

func (e *Events) ready(fn *function.Function, addr string, p Phases) {
	if e.Ready != nil {
		e.Ready(fn, addr, p)
	}
}

func (e *Events) changed(fn *function.Function, from, to []string) {
	if e.Changed != nil {
		e.Changed(fn, from, to)
	}
}

func (e *Events) invalidated(fn *function.Function, addr string, why error) {
	if e.Invalidated != nil {
		e.Invalidated(fn, addr, why)
	}
}

func (e *Events) failed(fn *function.Function, err error) {
	if e.Failed != nil {
		e.Failed(fn, err)
	}
}
