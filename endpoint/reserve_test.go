//go:build unix

package endpoint

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// reserve returns a loopback address that refuses connections, and a function
// that makes it listen. The port is bound all the while: one that was only
// known to be free would be given to another socket now and then.
func reserve(t *testing.T) (addr string, listen func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "reserved")
	t.Cleanup(func() { file.Close() })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	listen = func() {
		if err := syscall.Listen(fd, 1024); err != nil {
			t.Errorf("listening: %v", err)
		}
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(name.(*syscall.SockaddrInet4).Port)), listen
}
