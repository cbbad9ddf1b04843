package invoke

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
)

// NewSender makes a Sender of a RoundTripper of the standard library's kind.
// The function's timeout begins when a connection is there.
func NewSender(rt http.RoundTripper) Sender { return standard{rt} }

type standard struct{ http.RoundTripper }

// Send makes the exchange.
func (s standard) Send(req *http.Request, o SendOptions) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	d := &headerDeadline{cancel: cancel, timeout: o.Timeout}
	far := new(progress)
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			far.reused.Store(info.Reused)
			far.wrote.Store(false)
			d.conn.Store(&info.Conn)
			d.start()
		},
		WroteHeaders:         func() { far.wrote.Store(true) },
		GotFirstResponseByte: func() { far.answered.Store(true) },
	}
	if o.Informational != nil {
		trace.Got1xxResponse = func(code int, header textproto.MIMEHeader) error {
			return d.tell(o.Informational, code, http.Header(header))
		}
	}
	ctx = httptrace.WithClientTrace(ctx, trace)
	req = req.WithContext(ctx)
	if o.Timeout > 0 && req.Body != nil && req.Body != http.NoBody {
		body := &timedBody{ReadCloser: req.Body, deadline: d}
		context.AfterFunc(ctx, func() { _ = body.Close() }) // cancel is called in the end
		req.Body = body
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header = req.Header.Clone()
		req.Header["User-Agent"] = []string{""} // or the transport invents one
	}
	resp, err := s.RoundTrip(req)
	late := d.stop()
	if late != nil && (err == nil || endedBy(err, late)) {
		cancel(nil)
		if err == nil {
			_ = resp.Body.Close() // it came as the time passed
		}
		return nil, late
	}
	if err != nil {
		cancel(nil)
		return nil, &exchangeError{
			Err: err, Reused: far.reused.Load(), Written: far.wrote.Load(), Answered: far.answered.Load(),
		}
	}
	// The context must live as long as the body.
	if rwc, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &cancelingConn{ReadWriteCloser: rwc, cancel: cancel}
	} else {
		resp.Body = &canceling{ReadCloser: resp.Body, cancel: cancel}
	}
	return resp, nil
}

// endedBy says whether an error only tells that its exchange was ended, for the
// reason given: by the context, or by the request's body, which is closed with it.
func endedBy(err, reason error) bool {
	return errors.Is(err, reason) || errors.Is(err, context.Canceled) || errors.Is(err, errBodyClosed)
}

// progress is how far an exchange came, as its trace tells.
type progress struct{ reused, wrote, answered atomic.Bool }

// exchangeError is an error of a RoundTripper, with what it means for the next
// attempt.
type exchangeError struct {
	Err error
	// Reused: the connection carried other requests before or beside this one.
	Reused bool
	// Written: the request's head was sent. Answered: something came back.
	Written, Answered bool
}

// Error is the RoundTripper's text.
func (e *exchangeError) Error() string { return e.Err.Error() }

// Unwrap returns its error.
func (e *exchangeError) Unwrap() error { return e.Err }

type canceling struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close ends the exchange.
func (c *canceling) Close() error {
	err := c.ReadCloser.Close()
	c.cancel(nil)
	return err
}

type cancelingConn struct {
	io.ReadWriteCloser
	cancel context.CancelCauseFunc
}

// Close ends the exchange.
func (c *cancelingConn) Close() error {
	err := c.ReadWriteCloser.Close()
	c.cancel(nil)
	return err
}

// CloseWrite passes the end of one direction on, if the connection can.
func (c *cancelingConn) CloseWrite() error {
	if half, ok := c.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
