//go:build unix

package h1

import (
	"net"
	"syscall"
)

// newProbe returns a function that reports whether an idle connection is still
// open and silent. It peeks without waiting: nothing to read is what a healthy
// idle connection has; bytes nobody asked for, an end or an error condemn it.
// It returns nil for a connection without a file descriptor.
func newProbe(nc net.Conn) func() bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	// Built once per connection, so that a probe allocates nothing. Control, not
	// Read: Read would refuse when the connection's read deadline has passed.
	var silent bool
	var one [1]byte
	peek := func(fd uintptr) {
		for {
			_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err == syscall.EINTR {
				continue
			}
			silent = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
			return
		}
	}
	return func() bool {
		silent = false
		return raw.Control(peek) == nil && silent
	}
}
