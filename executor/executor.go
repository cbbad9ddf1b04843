// Package executor asks where functions run. It holds what the rest of the
// module needs of any executor, the client of the remote one, and the static
// one. An executor may do more than give addresses; what it does is found by
// type assertion to the optional interfaces below.
package executor

import (
	"context"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Executor knows where functions run. Implementations must be safe for
// concurrent use.
type Executor interface {
	// Addresses returns at least one "host:port" at which fn listens or is
	// about to listen; the host is a name, an IPv4 address or an IPv6 address
	// in brackets. It may take as long as the function takes to start. It
	// returns
	//   - an *Error whose NotFound is true if no such function is known,
	//   - an *Error whose Capacity is true if the function may not have one
	//     more place now; its RetryAfter says when, where that is known,
	//   - an *Error whose BadAddress is true if what the executor named is
	//     not an address,
	//   - an *Error whose Temporary is true if asking again may help, and
	//     whose Unavailable is true if no answer came,
	//   - an error that wraps ctx.Err() if ctx ended first,
	//   - any other error if the function cannot be started.
	//
	// The slice belongs to the caller.
	Addresses(ctx context.Context, fn *function.Function) ([]string, error)
}

// Scaler is an executor that can be asked for one more address of a function
// whose addresses are all busy.
type Scaler interface {
	// EnsureCapacity reports that of fn's ready addresses busy ones take no
	// further request, and returns an address ("host:port") to use, which may
	// be a known one. It returns what Executor.Addresses returns, and
	// errors.ErrUnsupported, wrapped, where the executor has no such call.
	EnsureCapacity(ctx context.Context, fn *function.Function, ready, busy int) (string, error)
}

// Tapper is an executor that stops functions which nobody uses, and so must
// be told which are in use.
type Tapper interface {
	// Tap says that every address in taps was in use just now. Addresses that
	// the executor no longer knows are no error. No taps, no call.
	Tap(ctx context.Context, taps []Tap) error
}

// Untapper is an executor that counts requests by address, and so must be
// told when one is done with.
type Untapper interface {
	// Untap says that a request has left tap's address.
	Untap(ctx context.Context, tap Tap) error
}

// Prober is an executor whose health can be asked.
type Prober interface {
	// Healthy returns nil if the executor answers and says it is well. It
	// asks once.
	Healthy(ctx context.Context) error
}

// Tap is one use of an address.
type Tap struct {
	Function *function.Function
	// Address is the "host:port" that the request went to.
	Address string
}
