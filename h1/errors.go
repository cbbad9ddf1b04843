package h1

import (
	"errors"
	"fmt"
	"net"
)

var (
	// ErrInvalidRequest is wrapped by what RoundTrip returns for a request that
	// cannot be sent as it is: a bad header name, a control character in the URL,
	// another scheme than http. No connection was used.
	ErrInvalidRequest = errors.New("invalid request")

	// ErrHeadTooLong is wrapped by the *Error for a response whose head exceeds
	// Transport.MaxHeaderBytes.
	ErrHeadTooLong = errors.New("response head too long")

	// errIdleEnded is the cause in an *Error when a kept connection had ended, or had
	// sent something, before the request was written.
	errIdleEnded = errors.New("the connection ended while it was idle")

	errBodyNotSent = errors.New("request body not sent: final response before 100 Continue")
)

// Error is what RoundTrip returns when a connection failed under a request, or
// when what came back is not HTTP. Errors of Transport.Dial are returned as they
// are, a context's end as ctx.Err(), and a request body that failed as *BodyError.
type Error struct {
	// Addr is the address the connection led to.
	Addr string
	// Reused says that the connection had served another request before.
	Reused bool
	// Repeated says that the request had met a dead kept connection before, and was
	// sent again.
	Repeated bool
	// Written says that at least one byte of the request was handed to the
	// connection. If false, the function cannot have seen the request.
	Written bool
	// Answered says that at least one byte of a response arrived.
	Answered bool
	// Err is the cause: io.EOF, io.ErrUnexpectedEOF, a *net.OpError, a parse error.
	Err error
}

// Stale reports that a kept connection died before any answer: most likely the
// function closed it while it was idle. RoundTrip has already sent the request
// again where that is safe; that it returned the error means that it was not, or
// that the new connection died too: a function that ends closes its connections
// before its listener, which accepts a last few meanwhile.
func (e *Error) Stale() bool {
	return (e.Reused || e.Repeated) && !e.Answered && !errors.Is(e.Err, ErrHeadTimeout)
}

func (e *Error) Error() string {
	kind := "new"
	if e.Reused {
		kind = "kept"
	}
	return fmt.Sprintf("request on a %s connection to %s: %v", kind, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether the cause is a time-out of the connection.
func (e *Error) Timeout() bool {
	var t net.Error
	return errors.As(e.Err, &t) && t.Timeout()
}

// BodyError is what RoundTrip returns, and reading the response body may return,
// when the request's own body could not be read to its end or did not have the
// announced length. It says nothing about the upstream.
type BodyError struct {
	// Err is the body's error.
	Err error
}

func (e *BodyError) Error() string { return "reading the request body: " + e.Err.Error() }

// Unwrap returns the body's error.
func (e *BodyError) Unwrap() error { return e.Err }
