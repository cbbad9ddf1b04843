//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package endpoint

import (
	"errors"
	"net"
	"syscall"
)

// alive looks, without waiting and without taking a byte, whether the other
// side has closed a connection. It may have done so since: this only spares
// the request an attempt that is known to fail.
func alive(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	var b [1]byte
	err = raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = n > 0 || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
		return true
	})
	return err == nil && open
}
