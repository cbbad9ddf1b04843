package h1

import (
	"errors"
	"net/http"
	"time"
)

// Options are what one request may ask for beside what is in it.
type Options struct {
	// HeadTimeout bounds the time from the connection being there to the end of
	// the final response's head; ErrHeadTimeout is wrapped by the error then. Each
	// piece of a body that is read while it is sent begins the time anew, so that a
	// long upload is no late answer; a body that gives nothing for so long ends the
	// request with ErrBodyStalled. Zero is no bound.
	HeadTimeout time.Duration

	// Informational is told of every informational response but 100 Continue.
	// It runs on the goroutine of RoundTripWith; its error ends the request, and
	// is returned as it is. Nil tells nobody.
	Informational func(code int, h http.Header) error
}

var (
	// ErrHeadTimeout is wrapped by the *Error for a response whose head did not
	// come within Options.HeadTimeout.
	ErrHeadTimeout = errors.New("no response head in time")

	// ErrBodyStalled is wrapped by the *BodyError for a request's body that gave
	// nothing for as long as Options.HeadTimeout says.
	ErrBodyStalled = errors.New("nothing came for too long")

	// ErrBodyIdle is what reading a response's body returns when nothing came for
	// as long as its SetIdleTimeout says.
	ErrBodyIdle = errors.New("response body idle for too long")
)

// RoundTripWith is RoundTrip with options.
func (t *Transport) RoundTripWith(req *http.Request, o Options) (*http.Response, error) {
	return t.roundTrip(req, o)
}

// SetIdleTimeout bounds the time that reading waits for the next byte; zero is no
// bound. It is called before the first Read, and costs nothing unless a read waits.
func (b *responseBody) SetIdleTimeout(d time.Duration) { b.x.c.idle = d }

// limit is when the wait for the next byte ends; the zero time is never.
func (c *conn) limit(now time.Time) time.Time {
	if c.inHead() {
		if c.up != nil && !c.headBy.IsZero() {
			return c.up.headBy(c.headBy)
		}
		return c.headBy
	}
	if c.idle > 0 && c.idleBy.IsZero() {
		c.idleBy = now.Add(c.idle)
	}
	return c.idleBy
}

// late is the error for a limit that has passed.
func (c *conn) late() error {
	if c.inHead() {
		if c.up != nil && c.up.reading.Load() {
			return &BodyError{ErrBodyStalled}
		}
		c.overdue = true
		return ErrHeadTimeout
	}
	return ErrBodyIdle
}
