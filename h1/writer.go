package h1

import (
	"net"
	"sync"
)

const (
	writeBufferSize = 4 << 10
	copyBufferSize  = 32 << 10
)

var (
	writers     = sync.Pool{New: func() any { return &writer{buf: make([]byte, 0, writeBufferSize)} }}
	copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}
)

// writer gathers what goes to a connection, so that a head and a small body leave
// in one system call. It is borrowed for one request.
type writer struct {
	nc      net.Conn
	buf     []byte // not written yet
	written int64
	err     error // of the connection; sticky
}

func newWriter() *writer { return writers.Get().(*writer) }

func (w *writer) reset() { *w = writer{buf: w.buf[:0]} }

// free gives the writer back, unless one long head has made it fat.
func (w *writer) free() {
	if cap(w.buf) <= 4*writeBufferSize {
		w.reset()
		writers.Put(w)
	}
}

// Write gathers p, or sends it along with what was gathered. The error is the
// connection's.
func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if len(w.buf)+len(p) <= cap(w.buf) {
		w.buf = append(w.buf, p...)
		return len(p), nil
	}
	head := int64(len(w.buf))
	both := net.Buffers{w.buf, p} // one writev on a TCP connection
	n, err := both.WriteTo(w.nc)
	w.buf, w.written, w.err = w.buf[:0], w.written+n, err
	return int(max(n-head, 0)), err
}

// flush sends what was gathered.
func (w *writer) flush() error {
	if w.err == nil && len(w.buf) > 0 {
		var n int
		n, w.err = w.nc.Write(w.buf)
		w.written += int64(n)
		w.buf = w.buf[:0]
	}
	return w.err
}
