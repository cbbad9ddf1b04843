package invoke

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"
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
	if late != nil {
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

// headerDeadline ends an exchange whose headers are late. Its time begins anew
// with each piece of the request's body.
type headerDeadline struct {
	timeout time.Duration
	cancel  context.CancelCauseFunc
	timer   atomic.Pointer[time.Timer]
	end     atomic.Pointer[error] // what it ended the exchange with; nil while it runs
	moved   atomic.Int64          // when it began last, in Unix nanoseconds
	reading atomic.Bool           // the request's body is being waited for

	// telling is held while an informational response is passed on, which the
	// transport may do on a goroutine that outlives the exchange.
	telling sync.Mutex
	over    bool
}

func (d *headerDeadline) tell(whom func(int, http.Header) error, code int, header http.Header) error {
	d.telling.Lock()
	defer d.telling.Unlock()
	if d.over || code == http.StatusContinue {
		return nil
	}
	return whom(code, header)
}

func (d *headerDeadline) start() {
	if d.timeout <= 0 || d.end.Load() != nil {
		return
	}
	d.move()
	// Its callback asks for the timer, which is there only afterwards.
	t := time.AfterFunc(time.Hour, d.pass)
	if old := d.timer.Swap(t); old != nil {
		old.Stop() // net/http has tried another connection
	}
	t.Reset(d.timeout)
}

func (d *headerDeadline) move() { d.moved.Store(time.Now().UnixNano()) }

// pass is called when the time has passed unless it began anew.
func (d *headerDeadline) pass() {
	if left := time.Until(time.Unix(0, d.moved.Load()).Add(d.timeout)); left > 0 {
		if d.end.Load() == nil {
			d.timer.Load().Reset(left)
		}
		return
	}
	why := ErrFunctionTimeout
	if d.reading.Load() {
		why = ErrBodyStalled
	}
	if d.end.CompareAndSwap(nil, &why) {
		d.cancel(why)
	}
}

// stop ends the deadline and says what it ended the exchange with, if it did.
func (d *headerDeadline) stop() error {
	var inTime error
	d.end.CompareAndSwap(nil, &inTime)
	d.telling.Lock()
	d.over = true
	d.telling.Unlock()
	if t := d.timer.Load(); t != nil {
		t.Stop()
	}
	return *d.end.Load()
}

// timedBody is a request's body that its exchange's deadline watches. Closing it
// ends a read that the client holds up: net/http's RoundTrip waits for that, but
// does not close the body before it is done with it.
type timedBody struct {
	io.ReadCloser
	deadline *headerDeadline

	begin  sync.Once
	relay  *io.PipeReader // nil if reading never waits for the client
	closed atomic.Bool
}

// Read reads from the body.
func (b *timedBody) Read(p []byte) (int, error) {
	b.begin.Do(b.open)
	b.deadline.move()
	b.deadline.reading.Store(true)
	defer b.deadline.reading.Store(false)
	defer b.deadline.move()
	if b.relay == nil {
		return b.ReadCloser.Read(p)
	}
	return b.relay.Read(p)
}

// open begins to read ahead of whoever reads here, unless all is in memory.
func (b *timedBody) open() {
	if whole, ok := b.ReadCloser.(interface{ Buffered() bool }); ok && whole.Buffered() || b.closed.Load() {
		return
	}
	r, w := io.Pipe()
	b.relay = r
	go func() {
		space := largeBodies.Get().(*[64<<10 + 1]byte)
		defer largeBodies.Put(space)
		_, err := io.CopyBuffer(w, b.ReadCloser, space[:])
		w.CloseWithError(err) // nil is the body's end
	}()
}

// Close ends the body, and does not wait for the client.
func (b *timedBody) Close() error {
	b.closed.Store(true)
	err := b.ReadCloser.Close()
	b.begin.Do(func() {}) // or wait until it is open
	if b.relay != nil {
		_ = b.relay.CloseWithError(errBodyClosed)
	}
	return err
}

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
