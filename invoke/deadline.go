package invoke

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// headerDeadline ends an exchange whose headers are late. Its time begins anew
// with each piece of the request's body.
type headerDeadline struct {
	timeout time.Duration
	cancel  context.CancelCauseFunc
	timer   atomic.Pointer[time.Timer]
	end     atomic.Pointer[error] // what it ended the exchange with; nil while it runs
	moved   atomic.Int64          // when it began last, in Unix nanoseconds
	reading atomic.Bool           // the request's body is being waited for
	conn    atomic.Pointer[net.Conn]

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
	switch {
	case !d.reading.Load():
	case d.broken():
		why = errBrokeOff
	default:
		why = ErrBodyStalled
	}
	if d.end.CompareAndSwap(nil, &why) {
		d.cancel(why)
	}
}

// broken says whether the connection has ended under the request: net/http closes
// it then, but says so only once the request's body has been read.
func (d *headerDeadline) broken() bool {
	return errors.Is((*d.conn.Load()).SetReadDeadline(time.Time{}), net.ErrClosed)
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
	n, err := b.relay.Read(p)
	if err == io.ErrClosedPipe {
		err = errBodyClosed // by Close
	}
	return n, err
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
