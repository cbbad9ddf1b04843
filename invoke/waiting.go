package invoke

import (
	"context"
	"time"
)

// waiting is what an exchange does while it waits for an address. It is part
// of the exchange, so that one which does not wait pays nothing for it.
type waiting struct {
	invoker  *Invoker
	exchange *Exchange
	leave    context.CancelCauseFunc // ends the wait; nil unless somebody watches
	began    time.Time
	stop     func()      // ends the watch; nil if nobody watches
	end      func(error) // ends the span; nil without one
}

// begin is an endpoint.Call's OnWait.
func (w *waiting) begin() {
	w.began = time.Now()
	x := w.exchange
	if x.Body != nil && !x.Body.Hold(w.invoker.Held, x.Policy.MaxWaitingBytes) && w.leave != nil {
		w.stop = x.Watch(func() { w.leave(context.Canceled) })
	}
	if x.Span != nil {
		// The executor's call is below the exchange: it serves others too, and
		// has begun by now.
		_, w.end = x.Span(x.values(), "cold start")
	}
}

// over ends the wait, and returns how long it was.
func (w *waiting) over(err error) time.Duration {
	if w.stop != nil {
		w.stop()
	}
	if w.end != nil {
		w.end(err)
	}
	if w.began.IsZero() {
		return 0
	}
	waited := time.Since(w.began)
	w.exchange.Wait += waited
	return waited
}

// values is the context whose values the executor's call sees.
func (x *Exchange) values() context.Context {
	if x.Values != nil {
		return x.Values
	}
	return x.context.Context
}
