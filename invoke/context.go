package invoke

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// exchangeKey is the context key of the exchange a request belongs to.
type exchangeKey struct{}

// exchangeContext is the client's context with the present attempt in it, for
// the dialer, which a Sender calls, perhaps on another goroutine that outlives
// the attempt.
type exchangeContext struct {
	context.Context
	exchange    *Exchange
	dialTimeout atomic.Int64 // of the present attempt, in nanoseconds
	// dialed is the time spent on dialling, in nanoseconds.
	dialed atomic.Int64
}

// Value gives the exchange to the dialer.
func (c *exchangeContext) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// DialError is an address that did not accept a connection: no byte of the
// request was sent.
type DialError struct{ Err error }

// Error is the dialer's text.
func (e *DialError) Error() string { return e.Err.Error() }

// Unwrap returns the dialer's error.
func (e *DialError) Unwrap() error { return e.Err }

func (c *exchangeContext) dial(ctx context.Context, dialer *net.Dialer, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.dialTimeout.Load()))
	defer cancel()
	began := time.Now()
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	c.dialed.Add(int64(time.Since(began)))
	if err != nil {
		return nil, &DialError{Err: err}
	}
	return conn, nil
}

// WithDialTimeout bounds a dial by what the attempt that ctx belongs to allows,
// for a Sender that does not dial by Invoker.Dialer.
func WithDialTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	c, ok := ctx.Value(exchangeKey{}).(*exchangeContext)
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Duration(c.dialTimeout.Load()))
}
