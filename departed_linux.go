package kubefaas

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// departed says whether the other side of a TCP connection has closed it, even
// if there are bytes that nobody has read. It reads nothing.
func departed(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return // not TCP, or of a kind that cannot be asked
		}
		switch info.State {
		case unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_CLOSE, unix.BPF_TCP_LAST_ACK:
			gone = true
		}
	})
	return err == nil && gone
}
