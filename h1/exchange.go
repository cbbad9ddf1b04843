package h1

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"sync/atomic"
	"time"
)

// exchange is one request and its response. It is allocated once, together with
// the response, and lives as long as the response does.
type exchange struct {
	t       *Transport
	req     *http.Request
	options Options
	ctx     context.Context
	trace   *httptrace.ClientTrace // nil without one
	c       *conn

	body       io.ReadCloser // the request's; nil without one
	length     int64         // of body; -1 if chunked
	chunked    bool
	expect     bool // Expect: 100-continue
	touched    bool // body may have been read from
	bodyClosed atomic.Bool
	up         *upload // nil unless the body is sent by a goroutine

	answered bool // a byte of the response arrived
	broken   bool // the request could not be written to its end
	repeated bool // a kept connection has died under the request
	keep     bool // the connection may serve another request
	over     atomic.Bool

	resp     http.Response
	rbody    responseBody
	informed bool       // vals went to an informational response
	vals     [12]string // values of the first header fields
	te       [1]string
}

// try sends the request over a connection and reads the head of the response. It
// has dealt with the connection when it returns an error.
func (x *exchange) try(c *conn, w *writer) (*http.Response, error) {
	x.c, w.nc = c, c.nc
	err := x.send(w)
	if x.up == nil && err != nil {
		var own *BodyError
		if w.written == 0 || errors.As(err, &own) {
			return nil, x.fail(err, w.written > 0)
		}
		// A function that answers early may close before it has read everything.
		x.broken = true
		x.closeRequestBody()
	}
	resp, rerr := x.receive()
	if rerr == nil {
		return resp, nil
	}
	if err == nil {
		err = rerr
	}
	return nil, x.fail(err, x.up != nil || w.written > 0)
}

// send writes the request: all of it if its body is at hand, otherwise the head,
// and a goroutine sends the rest. It does nothing on a kept connection that has ended.
func (x *exchange) send(w *writer) error {
	c := x.c
	if x.body == nil || !x.expect && !x.chunked && x.length <= inlineLimit && inMemory(x.body) {
		if done, err := c.line.ask(x, w); done {
			return err
		}
		return x.sendWhole(w)
	}
	if c.reused && !c.line.alive() {
		return errIdleEnded
	}
	c.watch()
	if err := w.flush(); err != nil {
		x.wroteRequest(err)
		return err
	}
	x.startUpload(w)
	return nil
}

// sendWhole writes the head and a body that is at hand.
func (x *exchange) sendWhole(w *writer) (err error) {
	if x.body == nil {
		err = w.flush()
	} else {
		if int64(len(w.buf))+x.length > unwatchedLimit {
			x.c.watch()
			if by := x.c.headBy; !by.IsZero() {
				_ = x.c.nc.SetWriteDeadline(by)
				defer func() { _ = x.c.nc.SetWriteDeadline(time.Time{}) }()
			}
		}
		err = x.writeBody(w)
		x.closeRequestBody()
	}
	x.wroteRequest(err)
	return err
}

// receive reads up to the final response's head.
func (x *exchange) receive() (*http.Response, error) {
	c := x.c
	c.headLeft = x.t.maxHeaderBytes()
	if _, err := c.br.Peek(1); err != nil {
		return nil, err
	}
	x.answered = true
	if x.trace != nil && x.trace.GotFirstResponseByte != nil {
		x.trace.GotFirstResponseByte()
	}
	for {
		resp, err := x.readHead()
		if err != nil {
			switch {
			case c.headLeft <= 0:
				err = ErrHeadTooLong
			case c.overdue:
				err = ErrHeadTimeout // rather than that what came is no head
			}
			return nil, err
		}
		code := resp.StatusCode
		if code < 100 || code > 199 || code == http.StatusSwitchingProtocols {
			return x.deliver(resp)
		}
		if err := x.inform(code, resp.Header); err != nil {
			return nil, err
		}
	}
}

// inform passes an informational response on.
func (x *exchange) inform(code int, h http.Header) error {
	x.informed = true
	if code == http.StatusContinue {
		// Last, so that who relays the answer does so before the body is read:
		// net/http's server sends a 100 Continue of its own then.
		defer x.up.answer(true)
		if x.expect && x.trace != nil && x.trace.Got100Continue != nil {
			x.trace.Got100Continue()
		}
	}
	if tell := x.options.Informational; tell != nil && code != http.StatusContinue {
		x.c.headLeft = x.t.maxHeaderBytes()
		if err := tell(code, h); err != nil {
			return &hookError{err}
		}
	}
	if x.trace == nil || x.trace.Got1xxResponse == nil {
		return nil
	}
	if err := x.trace.Got1xxResponse(code, textproto.MIMEHeader(h)); err != nil {
		return &hookError{err}
	}
	// Who sees informational responses limits their number.
	x.c.headLeft = x.t.maxHeaderBytes()
	return nil
}

// hookError carries the error of a ClientTrace's hook to fail.
type hookError struct{ error }

// deliver makes the final response ready for the caller.
func (x *exchange) deliver(resp *http.Response) (*http.Response, error) {
	x.c.headLeft = math.MaxInt64
	resp.Request = x.req
	closing := resp.Close || x.req.Close
	x.up.answer(!closing)
	if resp.StatusCode == http.StatusSwitchingProtocols && resp.Header.Get("Upgrade") != "" &&
		hasToken(resp.Header["Connection"], "upgrade") {
		return x.upgrade(resp)
	}
	x.keep = !closing && !x.broken && resp.StatusCode > 199
	if resp.Body == http.NoBody {
		x.rbody.ended.Store(true)
		x.rbody.err = io.EOF
		if !x.complete() {
			resp.Body = &x.rbody // closing it ends the upload
		}
	}
	return resp, nil
}

// complete notes that the response has been read to its end. It returns false if
// the request is still being sent; the upload then releases the connection.
func (x *exchange) complete() bool {
	if x.up == nil {
		x.release(true)
		return true
	}
	if x.up.state.Or(received)&sent == 0 {
		return false
	}
	x.release(x.up.err == nil)
	return true
}

// release ends the use of the connection after request and response have ended.
func (x *exchange) release(ok bool) {
	if !x.over.CompareAndSwap(false, true) {
		return
	}
	if ok && x.keep {
		x.t.recycle(x.c, x.trace)
	} else {
		x.c.close()
	}
}

// abort ends the use of the connection at once. It is safe beside a Read.
func (x *exchange) abort() {
	if x.over.CompareAndSwap(false, true) {
		x.c.close()
	}
	if x.up == nil {
		return
	}
	x.up.answer(false)
	select {
	case <-x.up.done:
	default:
		// The upload may be inside Read, and some bodies' Close waits for that.
		go x.closeRequestBody()
	}
}

// fail gives the connection up and returns the error that says why.
func (x *exchange) fail(err error, written bool) error {
	x.abort()
	var own *BodyError
	if x.up != nil && x.up.ended() {
		written = x.up.written > 0
		if !errors.As(err, &own) { // the body's own reason, rather than that it was closed for it
			errors.As(x.up.err, &own)
		}
	}
	var hook *hookError
	if by := x.c.headBy; !by.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(by) {
		err = ErrHeadTimeout
	}
	switch {
	case x.ctx.Err() != nil:
		return x.ctx.Err()
	case own != nil:
		return own
	case errors.As(err, &own):
		return own
	case errors.As(err, &hook):
		return hook.error
	}
	return &Error{Addr: x.c.addr, Reused: x.c.reused, Repeated: x.repeated, Written: written, Answered: x.answered, Err: err}
}

// mayRepeat reports whether the request may be sent once more, see RoundTrip.
func (x *exchange) mayRepeat(err error) bool {
	failed, ok := err.(*Error)
	if !ok || !failed.Reused || !failed.Stale() {
		return false
	}
	if x.up != nil && !x.up.ended() {
		return false // its body is still in use
	}
	if !failed.Written {
		return x.body == nil || x.req.GetBody != nil || !x.touched && !x.bodyClosed.Load()
	}
	if x.body != nil && x.req.GetBody == nil {
		return false
	}
	switch x.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	_, key := x.req.Header["Idempotency-Key"]
	_, xkey := x.req.Header["X-Idempotency-Key"]
	return key || xkey
}

// rewind makes the exchange as it was before the first attempt.
func (x *exchange) rewind() error {
	if x.body != nil && (x.touched || x.bodyClosed.Load()) {
		x.closeRequestBody()
		body, err := x.req.GetBody()
		if err != nil {
			return err
		}
		x.body, x.touched = body, false
		x.bodyClosed.Store(false)
	}
	x.up, x.broken, x.repeated = nil, false, true
	x.over.Store(false)
	return nil
}

// closeRequestBody closes the request's body once.
func (x *exchange) closeRequestBody() {
	if x.body != nil && x.bodyClosed.CompareAndSwap(false, true) {
		_ = x.body.Close()
	}
}

func (x *exchange) wroteRequest(err error) {
	if x.trace != nil && x.trace.WroteRequest != nil {
		x.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}
