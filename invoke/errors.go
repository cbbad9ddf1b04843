package invoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/kubefaas/caddy-kubefaas/h1"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// ErrFunctionTimeout is returned when the response's headers did not come
// within the function's timeout.
var ErrFunctionTimeout = errors.New("the function did not answer in time")

// ErrBodyStalled is returned when the client sent nothing more of its request's
// body for as long as the function's timeout.
var ErrBodyStalled = errors.New("the client stopped sending the request's body")

// errBrokeOff stands for what an upload says that was ended because its
// connection had failed.
var errBrokeOff = errors.New("the connection broke while the request's body was being sent")

// AttemptError is how the last of a request's attempts ended.
type AttemptError struct {
	// Outcome is retry.Refused, retry.DialTimeout, or retry.Sent if the
	// function may have run.
	Outcome retry.Outcome
	// Address is the last address that was tried.
	Address string
	// Attempts is how many there were.
	Attempts int
	// Err is the last attempt's error.
	Err error
}

// Error says which address failed, how, and after how many attempts.
func (e *AttemptError) Error() string {
	return fmt.Sprintf("attempt %d, at %s: %v", e.Attempts, e.Address, e.Err)
}

// Unwrap returns the last attempt's error.
func (e *AttemptError) Unwrap() error { return e.Err }

// ClientBodyError is the error of reading the client's request body: neither
// the function nor its address is to blame.
type ClientBodyError struct{ Err error }

// Error says what ended the body.
func (e *ClientBodyError) Error() string { return "reading the request's body: " + e.Err.Error() }

// Unwrap returns what ended the body.
func (e *ClientBodyError) Unwrap() error { return e.Err }

// InvalidRequestError is returned for a request that HTTP/1.1 has no spelling
// for: nothing was sent.
type InvalidRequestError struct{ Err error }

// Error says what is wrong with the request.
func (e *InvalidRequestError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the request.
func (e *InvalidRequestError) Unwrap() error { return e.Err }

// final is the error of an exchange whose last attempt ended with err.
func final(client context.Context, o retry.Outcome, err error, x *Exchange) error {
	if x.stalled(client) {
		return &ClientBodyError{Err: ErrBodyStalled}
	}
	if o == retry.ClientGone {
		// As it came: reverse_proxy knows a client that left by this value.
		return context.Cause(client)
	}
	if invalid, ok := errors.AsType[*InvalidRequestError](err); ok {
		return invalid
	}
	if errors.Is(err, ErrBodyStalled) {
		return &ClientBodyError{Err: err}
	}
	if x.Body != nil && !errors.Is(err, ErrFunctionTimeout) {
		if cause := x.Body.failure(); cause != nil {
			return &ClientBodyError{Err: cause}
		}
	}
	if errors.Is(err, errBodyClosed) {
		err = errBrokeOff
	}
	return &AttemptError{Outcome: o, Address: x.Address, Attempts: x.Attempts, Err: err}
}

// stalled says whether the server's own deadline has ended the reading of the
// request's body. net/http ends the request's context then too, but the client has
// not left.
func (x *Exchange) stalled(client context.Context) bool {
	if x.Body == nil {
		return false
	}
	if client.Err() != nil && x.Body.Waits() {
		return false
	}
	return errors.Is(x.Body.failure(), os.ErrDeadlineExceeded)
}

// classify says what the error of an attempt means for the next one.
func (i *Invoker) classify(client context.Context, req *http.Request, ctx *exchangeContext, err error) retry.Outcome {
	stalled := errors.Is(err, ErrBodyStalled) || ctx.exchange.stalled(client)
	e := retry.Exchange{
		ClientGone: client.Err() != nil && !stalled,
		Answered:   errors.Is(err, ErrFunctionTimeout) || stalled,
	}
	r := retry.Request{
		Method:         req.Method,
		IdempotencyKey: req.Header["Idempotency-Key"] != nil || req.Header["X-Idempotency-Key"] != nil,
		Body:           retry.Untouched,
		Written:        true,
	}
	if x := ctx.exchange; x.Body != nil {
		r.Body = x.Body.State()
		e.Answered = e.Answered || x.Body.failure() != nil
	}
	var d *DialError
	e.Dialing = errors.As(err, &d)
	if failed, ok := errors.AsType[*exchangeError](err); ok {
		e.Reused, r.Written = failed.Reused, failed.Written
		e.Answered = e.Answered || failed.Answered
	}
	if failed, ok := errors.AsType[*h1.Error](err); ok {
		e.Reused, r.Written = failed.Stale(), failed.Written
	}
	e.Replayable = r.Replayable()
	return retry.Classify(err, e)
}
