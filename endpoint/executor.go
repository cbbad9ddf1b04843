package endpoint

import (
	"context"
	"errors"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Executor knows where a function runs, and starts it if it runs nowhere.
// Addresses returns at least one "host:port"; none of them needs to listen
// yet. It must return soon after ctx is done.
//
// Its errors are told to the requests that wait. One that has a method
// Temporary() bool which returns true is retried first; one whose
// NotFound() bool returns true says that there is no such function, so that
// known addresses are dropped.
type Executor interface {
	Addresses(ctx context.Context, fn *function.Function) ([]string, error)
}

// Scaler is an Executor that can be asked for one address more, given how
// many are known and how many of them have no place left. It returns
// errors.ErrUnsupported, wrapped or not, if it cannot after all; it is not
// asked for that function again.
type Scaler interface {
	EnsureCapacity(ctx context.Context, fn *function.Function, ready, busy int) (string, error)
}

func isTemporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

func isNotFound(err error) bool {
	t, ok := errors.AsType[interface {
		error
		NotFound() bool
	}](err)
	return ok && t.NotFound()
}
