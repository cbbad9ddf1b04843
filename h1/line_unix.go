//go:build unix

package h1

import (
	"net"
	"syscall"
)

// line is what a connection's file descriptor allows beyond net.Conn: looking at it
// without waiting, and waiting for an answer without trying to read it first. Its
// callbacks are built once per connection, so that using it allocates nothing.
type line struct {
	raw      syscall.RawConn
	peekOnly func(fd uintptr)
	step     func(fd uintptr) bool
	one      [1]byte
	quiet    bool // result of peekOnly

	// The request under way.
	x     *exchange
	w     *writer
	asked bool
	err   error
}

// newLine returns nil for a connection without a file descriptor.
func newLine(nc net.Conn) *line {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	l := &line{raw: raw}
	l.peekOnly = func(fd uintptr) { l.quiet = l.silent(fd) }
	l.step = l.next
	return l
}

// alive reports whether an idle connection is still open and silent.
func (l *line) alive() bool {
	if l == nil {
		return true
	}
	l.quiet = false
	// Control, not Read: Read refuses once the read deadline has passed.
	return l.raw.Control(l.peekOnly) == nil && l.quiet
}

// silent peeks: nothing to read is what a healthy idle connection has; bytes nobody
// asked for, an end or an error condemn it.
func (l *line) silent(fd uintptr) bool {
	for {
		_, _, err := syscall.Recvfrom(int(fd), l.one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err != syscall.EINTR {
			return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		}
	}
}

// ask sends a request whose body is at hand and returns when something can be read,
// which may also be too early. done is false if it did nothing.
//
// The poller forgets what it knew about the descriptor before the first call of step,
// so whatever arrives from then on ends the wait. Looking at the connection comes after
// that, and before the request: a connection that ended while idle cannot slip through,
// and the usual attempt to read an answer that cannot be there yet is saved.
func (l *line) ask(x *exchange, w *writer) (done bool, err error) {
	if l == nil {
		return false, nil
	}
	l.x, l.w, l.asked, l.err = x, w, false, nil
	// Its own error is a deadline or a closed connection; reading will tell.
	_ = l.raw.Read(l.step)
	done, err = l.asked, l.err
	l.x, l.w, l.err = nil, nil, nil
	return done, err
}

// next is called before the wait, and again after it. It returns true to end it.
func (l *line) next(fd uintptr) bool {
	if l.asked {
		return true
	}
	l.asked = true
	if l.x.c.reused && !l.silent(fd) {
		l.err = errIdleEnded
		return true
	}
	l.err = l.x.sendWhole(l.w)
	return l.err != nil
}
