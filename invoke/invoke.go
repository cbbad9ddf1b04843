// Package invoke sends one request to one function: it holds a lease of an
// address, makes the attempts, keeps the body for them, and gives the address
// back when the response has ended.
package invoke

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// Policy is what all requests of one configuration share.
type Policy struct {
	Retry    retry.Policy
	Endpoint *endpoint.Settings
	// MaxReplayBody bounds one body that is kept, in bytes.
	MaxReplayBody int64
	// MaxWaitingBytes bounds all bodies that are held for waiting requests.
	MaxWaitingBytes int64
}

// SendOptions are what one exchange may take.
type SendOptions struct {
	// Timeout bounds the time from the request being sent to the response's
	// headers; 0 is no bound. Of a body that comes from the client while it is
	// sent, each piece begins the time anew.
	Timeout time.Duration
	// Informational is told of responses before the final one, but for 100
	// Continue; nil tells nobody.
	Informational func(code int, header http.Header) error
}

// Sender makes one exchange with the address in req.URL.Host. It returns
// ErrFunctionTimeout, wrapped or not, if the headers are late, ErrBodyStalled
// if that is the client's doing, and dial errors as they came.
type Sender interface {
	Send(req *http.Request, o SendOptions) (*http.Response, error)
}

// Invoker sends requests to functions. All fields are set once.
type Invoker struct {
	Endpoints *endpoint.Pool
	Held      *Budget
	// Attempted is told how each attempt ended; nil is quiet.
	Attempted func(retry.Outcome, error)

	active atomic.Int64
}

// Active is how many exchanges are between their beginning and their response: in
// a pause between two attempts they hold no address.
func (i *Invoker) Active() int64 { return i.active.Load() }

// Span begins a part of the exchange that somebody wants to see, and returns
// the context it runs in and what ends it.
type Span func(ctx context.Context, name string) (context.Context, func(error))

// Exchange is one request to one function, and what is known of it once
// RoundTrip has returned. It is not safe for concurrent use.
type Exchange struct {
	Function *function.Function
	Executor endpoint.Executor
	Policy   *Policy
	Sender   Sender
	// SendOptions are the same for each attempt.
	SendOptions
	// Body is the request's body; nil if there is none.
	Body *Body
	// Watch looks, while the request waits with a body that nobody reads, after
	// the client by other means than the server's own: it calls left when the
	// client has gone, until stop is called. Default: nobody looks.
	Watch func(left func()) (stop func())
	// Lease is an address that the caller has already; nil to ask for one.
	Lease *endpoint.Lease
	// Values are what the executor's call sees of the request: its trace
	// context and its id. Default: the request's context.
	Values context.Context
	// Span is told of the parts; nil is quiet.
	Span Span
	// Inject writes the context of an attempt's span into its request's header;
	// nil leaves the header as it is.
	Inject func(context.Context, http.Header)
	// Trace collects the rest.
	Trace

	context exchangeContext
	waiting waiting
	held    held
}

// Context is the client's context for a request of this exchange. A request
// that is made with it need not be copied by RoundTrip.
func (x *Exchange) Context(client context.Context) context.Context {
	x.context.Context, x.context.exchange = client, x
	return &x.context
}

// Trace is what happened in an exchange.
type Trace struct {
	// Address is the last one that was tried.
	Address string
	// Attempts is how many there were.
	Attempts int
	// Cached: the last address was known already.
	Cached bool
	// Cold: the request waited for a function to start.
	Cold bool
	// Wait is the time spent in the waiting room, of which Start passed until
	// the executor answered and Listen until the address accepted.
	Wait, Start, Listen time.Duration
	// Dial is the time spent on connecting, over all attempts.
	Dial time.Duration
	// Sent is when the last attempt began to send; zero if none did.
	Sent time.Time
	// TTFB is the time from Sent to the response's headers.
	TTFB time.Duration
}

// Await gets the first address, which RoundTrip does otherwise. The request
// waits here, and holds its stack meanwhile: without RoundTrip's frame it still
// fits the 8 KiB that a connection's stack under Caddy has, and does not double.
// ctx is the client's; errors are those of RoundTrip, which is to be called if
// there is none.
func (i *Invoker) Await(ctx context.Context, x *Exchange) error {
	lease, err := i.Acquire(ctx, x)
	if err == nil {
		x.Lease = lease
	}
	return err
}

// RoundTrip makes the attempts. req is used and changed: its URL's host and
// its body are set for each attempt; its context must be the client's. The
// response's body gives the address back when it ends or is closed. An error
// is one of the endpoint package's, the executor's, an *AttemptError, or what
// ended the client's context.
func (i *Invoker) RoundTrip(req *http.Request, x *Exchange) (*http.Response, error) {
	i.active.Add(1)
	defer i.active.Add(-1)
	ctx, ours := req.Context().(*exchangeContext)
	if !ours || ctx != &x.context {
		client := req.Context()
		ctx = &x.context
		req = req.WithContext(x.Context(client))
	}
	client := ctx.Context
	attempts := x.Policy.Retry.Attempts()
	for {
		if err := i.resolve(client, x); err != nil {
			return nil, err
		}
		x.Attempts = attempts.Attempt()
		ctx.dialTimeout.Store(int64(attempts.DialTimeout()))
		resp, err := i.attempt(req, ctx)
		if err == nil {
			i.attempted(retry.Sent, nil)
			if x.Body != nil {
				x.Body.Settle()
			}
			return hold(resp, x), nil
		}
		outcome := i.classify(client, req, ctx, err)
		i.attempted(outcome, err)
		decision := attempts.Next(outcome)
		if decision.Dead {
			x.Lease.Invalidate(err)
		}
		// A kept connection that died may be the first sign of an address that
		// did: what has been learnt of it since counts.
		if decision.Action != retry.SameAddress || outcome == retry.Stale {
			x.Lease.Release()
			x.Lease = nil
		}
		if decision.Action == retry.Final {
			return nil, final(client, outcome, err, x)
		}
		if err := Sleep(client, decision.Delay); err != nil {
			if x.Lease != nil {
				x.Lease.Release()
				x.Lease = nil
			}
			return nil, err
		}
	}
}

func (i *Invoker) attempted(o retry.Outcome, err error) {
	if i.Attempted != nil {
		i.Attempted(o, err)
	}
}

// resolve sees to it that the exchange has a lease.
func (i *Invoker) resolve(ctx context.Context, x *Exchange) error {
	if x.Lease == nil {
		lease, err := i.Acquire(ctx, x)
		if err != nil {
			return err
		}
		x.Lease = lease
	}
	x.Address = x.Lease.Address()
	x.Cached = x.Lease.Cached
	return nil
}

// Acquire waits for an address of the exchange's function. While it waits the
// body is read, within the policy's limits.
func (i *Invoker) Acquire(ctx context.Context, x *Exchange) (*endpoint.Lease, error) {
	w := &x.waiting
	*w = waiting{invoker: i, exchange: x}
	call := endpoint.Call{
		Function: x.Function, Executor: x.Executor, Settings: x.Policy.Endpoint, Values: x.Values, OnWait: w.begin,
	}
	if call.Values == nil {
		call.Values = ctx
	}
	if x.Body != nil && x.Watch != nil {
		ctx, w.leave = context.WithCancelCause(ctx)
		defer w.leave(nil)
	}
	lease, err := i.Endpoints.Acquire(ctx, &call)
	waited := w.over(err)
	if err != nil {
		x.notStarted(err, waited)
		if errors.Is(err, context.Canceled) && x.stalled(ctx) {
			err = &ClientBodyError{Err: ErrBodyStalled}
		}
		return nil, err
	}
	if lease.Cold {
		x.Cold = true
		// Who came late has waited for a part of the flight only: its end.
		listen := min(lease.Dial, waited)
		x.Listen += listen
		x.Start += min(lease.Start, waited-listen)
	}
	return lease, nil
}

// notStarted notes where the time went of a wait that ended with an error. Of
// a function that is busy, and of a client that left, it is not known that
// anything was starting.
func (x *Exchange) notStarted(err error, waited time.Duration) {
	var busy *endpoint.BusyError
	var address *endpoint.AddressError
	switch {
	case waited == 0, errors.As(err, &busy), errors.Is(err, context.Canceled):
	case errors.As(err, &address):
		x.Cold = true
		x.Listen += waited
	default:
		x.Cold = true
		x.Start += waited
	}
}

// attempt makes one exchange with the address that is held.
func (i *Invoker) attempt(req *http.Request, ctx *exchangeContext) (*http.Response, error) {
	x := ctx.exchange
	req.URL.Host = x.Address
	if x.Body != nil {
		req.Body = x.Body.Reader()
	}
	end := func(error) {}
	if x.Span != nil {
		req, end = x.trace(req)
	}
	x.Sent = time.Now()
	resp, err := x.Sender.Send(req, x.SendOptions)
	dialed := time.Duration(ctx.dialed.Swap(0))
	x.Dial += dialed
	x.Sent = x.Sent.Add(dialed)
	x.TTFB = time.Since(x.Sent)
	end(err)
	return resp, err
}

// trace begins the span of an attempt, and returns the request with it: the
// last attempt's may still be read by what it was given to.
func (x *Exchange) trace(req *http.Request) (*http.Request, func(error)) {
	ctx, end := x.Span(req.Context(), "attempt")
	if x.Inject != nil {
		req = req.WithContext(req.Context())
		req.Header = maps.Clone(req.Header)
		x.Inject(ctx, req.Header)
	}
	return req, end
}

// Sleep waits, and ends at once when the client leaves.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Dialer connects to a function for a Sender: with the connection that the
// readiness probe made, if there is one, else within the dial time-out of the
// attempt that ctx belongs to.
func (i *Invoker) Dialer() func(ctx context.Context, addr string) (net.Conn, error) {
	var dialer net.Dialer
	return func(ctx context.Context, addr string) (net.Conn, error) {
		if conn := i.Endpoints.TakeConn(addr); conn != nil {
			return conn, nil
		}
		x, ok := ctx.Value(exchangeKey{}).(*exchangeContext)
		if !ok {
			return dialer.DialContext(ctx, "tcp", addr)
		}
		return x.dial(ctx, &dialer, addr)
	}
}
