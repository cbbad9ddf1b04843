package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Errors of Acquire, beside those of the executor and of the request's own
// context.
var (
	// ErrColdStartTimeout: the executor gave no address within
	// Settings.ColdStartTimeout.
	ErrColdStartTimeout = errors.New("the function did not start in time")
	// ErrWaitingRoomFull: as many requests wait as may. Always inside a
	// *BusyError.
	ErrWaitingRoomFull = errors.New("too many requests are waiting")
	// ErrConcurrencyLimit: the function has addresses, but none had a place
	// within Settings.ColdStartTimeout. Always inside a *BusyError.
	ErrConcurrencyLimit = errors.New("the function is at its concurrency limit")
	// ErrNoAddress: the executor answered without an error and without an
	// address.
	ErrNoAddress = errors.New("the executor answered no address")
	// ErrClosed: an address had to be asked for after Close.
	ErrClosed = errors.New("the address pool is closed")
)

// errForgotten is why addresses go that nobody found fault with.
var errForgotten = errors.New("forgotten")

// BusyError is ErrWaitingRoomFull or ErrConcurrencyLimit, with how long the
// client should stay away.
type BusyError struct {
	Err        error
	RetryAfter time.Duration // whole seconds, at least one
}

func (e *BusyError) Error() string { return e.Err.Error() }
func (e *BusyError) Unwrap() error { return e.Err }

// AddressError says that an address did not listen within
// Settings.ColdStartTimeout.
type AddressError struct {
	Addr string
	// Timeout: the last dial timed out. Otherwise it was refused.
	Timeout bool
	// Err is the last dial's error, nil if no dial has ended.
	Err error
}

func (e *AddressError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("address %s does not answer", e.Addr)
	}
	return fmt.Sprintf("address %s does not listen: %v", e.Addr, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// retryAfter makes a time into what a Retry-After header can say: whole
// seconds, between one and half a minute.
func retryAfter(d time.Duration) time.Duration {
	return min(max(d.Round(time.Second), time.Second), 30*time.Second)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
