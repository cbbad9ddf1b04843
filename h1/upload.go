package h1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// inlineLimit is the longest body that is written on the caller's goroutine,
	// if it is in memory. The socket buffers of both sides hold that much, so a
	// function that answers early does not stall the caller.
	inlineLimit = 64 << 10

	// unwatchedLimit is what a socket with nothing in flight takes without waiting.
	// Writing more can block, so the context must be able to interrupt it.
	unwatchedLimit = 8 << 10

	// uploadGrace is how long closing a response, or giving up on a request, waits
	// for a body that is as good as sent.
	uploadGrace = 5 * time.Millisecond
)

const (
	sent     = 1 << iota // the request body has ended, well or not
	received             // the response has been read to its end
)

// upload is a request body that is being sent while the response is awaited.
type upload struct {
	state   atomic.Int32  // sent, received
	err     error         // valid once sent
	written int64         // valid once sent
	done    chan struct{} // closed when the goroutine has let go of everything
	proceed chan bool     // for Expect: 100-continue; receives whether to send

	timeout time.Duration // Options.HeadTimeout
	moved   atomic.Int64  // when the body last gave something, in Unix nanoseconds
	reading atomic.Bool   // the body is being waited for
}

// startUpload hands the rest of the request to a goroutine. It owns w from here on.
func (x *exchange) startUpload(w *writer) {
	up := &upload{done: make(chan struct{}), timeout: x.options.HeadTimeout}
	if x.expect {
		up.proceed = make(chan bool, 1)
	}
	x.up, x.c.up = up, up
	go func() {
		defer close(up.done)
		defer w.free()
		up.err = x.upload(w, up)
		up.written = w.written
		x.closeRequestBody()
		if _, ok := errors.AsType[*BodyError](up.err); ok {
			// Half a request cannot be completed; this also wakes the reader.
			_ = x.c.nc.Close()
		}
		if up.state.Or(sent)&received != 0 {
			x.release(up.err == nil)
		}
	}()
}

func (x *exchange) upload(w *writer, up *upload) (err error) {
	defer func() { x.wroteRequest(err) }()
	if up.proceed != nil && !x.awaitContinue(up.proceed) {
		return errBodyNotSent
	}
	return x.writeBody(w)
}

// awaitContinue waits until the body may be sent: on 100 Continue, or when the
// function has been silent for long enough.
func (x *exchange) awaitContinue(proceed <-chan bool) bool {
	if x.trace != nil && x.trace.Wait100Continue != nil {
		x.trace.Wait100Continue()
	}
	timer := time.NewTimer(x.t.expectContinueTimeout())
	defer timer.Stop()
	select {
	case send := <-proceed:
		return send
	case <-timer.C:
		return true
	}
}

// answer tells an upload that waits for 100 Continue whether to go on; only the
// first call counts.
func (up *upload) answer(send bool) {
	if up != nil && up.proceed != nil {
		select {
		case up.proceed <- send:
		default:
		}
	}
}

// ended waits a moment for the goroutine to end.
func (up *upload) ended() bool {
	select {
	case <-up.done:
		return true
	default:
	}
	timer := time.NewTimer(uploadGrace)
	defer timer.Stop()
	select {
	case <-up.done:
		return true
	case <-timer.C:
		return false
	}
}

// readBody reads from the request's body, and notes when it gave something.
func (x *exchange) readBody(p []byte) (int, error) {
	up := x.up
	if up == nil || up.timeout <= 0 {
		return x.body.Read(p)
	}
	up.moved.Store(time.Now().UnixNano())
	up.reading.Store(true)
	n, err := x.body.Read(p)
	up.moved.Store(time.Now().UnixNano())
	up.reading.Store(false)
	return n, err
}

// headBy is when the response's head has to be there, which was first by then:
// the function's time begins when it has what there is.
func (up *upload) headBy(first time.Time) time.Time {
	if by := time.Unix(0, up.moved.Load()).Add(up.timeout); by.After(first) {
		return by
	}
	return first
}

// writeBody sends the request's body and whatever w holds before it. A *BodyError
// is the body's fault, anything else the connection's.
func (x *exchange) writeBody(w *writer) error {
	x.touched = true
	switch from, ok := x.body.(io.WriterTo); {
	case x.chunked:
		return x.writeChunks(w)
	case ok && inMemory(x.body):
		return writeWhole(w, from, x.length)
	default:
		return x.writeFixed(w)
	}
}

// writeWhole sends a body that is in memory without copying it.
func writeWhole(w *writer, from io.WriterTo, length int64) error {
	to := &exactly{w: w, left: length}
	_, err := from.WriteTo(to)
	switch {
	case w.err != nil:
		return w.err
	case to.left != 0 || to.over:
		return wrongLength(length, length-to.left, to.over)
	case err != nil:
		return &BodyError{err}
	}
	return w.flush()
}

// exactly passes on as many bytes as were announced and not one more.
type exactly struct {
	w    *writer
	left int64
	over bool
}

func (e *exactly) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		p, e.over = p[:e.left], true
	}
	n, err := e.w.Write(p)
	e.left -= int64(n)
	if err == nil && e.over {
		err = io.ErrShortWrite
	}
	return n, err
}

func wrongLength(want, got int64, over bool) error {
	if over {
		return &BodyError{fmt.Errorf("longer than the announced length of %d bytes", want)}
	}
	return &BodyError{fmt.Errorf("%d bytes after an announced length of %d: %w", got, want, io.ErrUnexpectedEOF)}
}

// writeFixed copies a body of known length, each piece as soon as it is read.
func (x *exchange) writeFixed(w *writer) error {
	space := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(space)
	for left := x.length; ; {
		n, err := x.readBody(space[:min(left, copyBufferSize)])
		if left -= int64(n); n > 0 {
			if _, err := w.Write(space[:n]); err != nil {
				return err
			}
			if x.up != nil || left == 0 {
				if err := w.flush(); err != nil {
					return err
				}
			}
		}
		switch {
		case err == io.EOF && left > 0:
			return wrongLength(x.length, x.length-left, false)
		case err == io.EOF:
			return nil
		case err != nil:
			return &BodyError{err}
		case left == 0:
			return x.expectEnd(space[:1])
		}
	}
}

// expectEnd makes sure that a body ends where it should. All of it has been sent.
func (x *exchange) expectEnd(p []byte) error {
	for {
		n, err := x.readBody(p)
		switch {
		case n > 0:
			return wrongLength(x.length, x.length, true)
		case err == io.EOF:
			return nil
		case err != nil:
			return &BodyError{err}
		}
	}
}

// writeChunks sends a body of unknown length, a chunk per read, and the trailer.
func (x *exchange) writeChunks(w *writer) error {
	const sizeLine, end = len("8000\r\n"), len("\r\n")
	space := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(space)
	for {
		n, err := x.readBody(space[sizeLine : copyBufferSize-end])
		if n > 0 {
			var line [sizeLine]byte
			size := append(strconv.AppendInt(line[:0], int64(n), 16), "\r\n"...)
			start := sizeLine - len(size)
			copy(space[start:], size)
			copy(space[sizeLine+n:], "\r\n")
			if _, err := w.Write(space[start : sizeLine+n+end]); err != nil {
				return err
			}
			if err := w.flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return x.writeTrailer(w)
		}
		if err != nil {
			return &BodyError{err}
		}
	}
}

// writeTrailer ends a chunked body. The trailer's values were filled in while the
// body was read, so they are checked only now.
func (x *exchange) writeTrailer(w *writer) error {
	if err := checkTrailer(x.req.Trailer); err != nil {
		return &BodyError{err}
	}
	w.buf = append(w.buf, "0\r\n"...)
	for k, vv := range x.req.Trailer {
		for _, v := range vv {
			w.buf = appendField(w.buf, k, v)
		}
	}
	w.buf = append(w.buf, "\r\n"...)
	return w.flush()
}

// inMemory reports whether reading a body cannot block: the standard library's
// readers of memory, also as http.NewRequest wraps them, and any body with a method
// Buffered that says so.
func inMemory(body any) bool {
	switch b := body.(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	case interface{ Buffered() bool }:
		return b.Buffered()
	}
	if t := reflect.TypeOf(body); t == nopCloser || t == nopCloserWriterTo {
		return inMemory(reflect.ValueOf(body).Field(0).Interface())
	}
	return false
}

var (
	nopCloser         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterTo = reflect.TypeOf(io.NopCloser(&bytes.Buffer{}))
)
