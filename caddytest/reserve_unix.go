//go:build unix

package caddytest

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// listenBacklog is how many connections the kernel accepts for a function that
// has not yet come round to them.
const listenBacklog = 4096

// reservation holds a loopback port that nobody listens on: connections are
// refused, and no other process can take the port meanwhile.
type reservation struct {
	port int
	fd   int
}

// reserve binds a free port without listening on it.
func reserve() (*reservation, error) {
	r := &reservation{}
	var err error
	r.port, err = pickPort(func(port int) error {
		r.fd, err = bindLoopback(port)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// listen turns the reservation into a listener. It can be called once.
func (r *reservation) listen() (net.Listener, error) {
	// Set only now: with it, two sockets that do not listen may share a port,
	// and the reservation would be none. Without it, a restart on this port
	// fails while old connections linger in TIME_WAIT.
	if err := syscall.SetsockoptInt(r.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, fmt.Errorf("reusing port %d: %w", r.port, err)
	}
	if err := syscall.Listen(r.fd, listenBacklog); err != nil {
		return nil, fmt.Errorf("listening on reserved port %d: %w", r.port, err)
	}
	file := os.NewFile(uintptr(r.fd), fmt.Sprintf("port %d", r.port))
	r.fd = -1
	defer file.Close()
	return net.FileListener(file)
}

// release gives up a port that was never listened on.
func (r *reservation) release() {
	if r.fd >= 0 {
		_ = syscall.Close(r.fd)
		r.fd = -1
	}
}

// bindLoopback returns a TCP socket bound to 127.0.0.1:port.
func bindLoopback(port int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, fmt.Errorf("opening a socket: %w", err)
	}
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		_ = syscall.Close(fd)
		return -1, fmt.Errorf("binding 127.0.0.1:%d: %w", port, err)
	}
	return fd, nil
}

// freePort returns a port that was free a moment ago. The caller must be ready
// to lose it to another process.
func freePort() (int, error) {
	r, err := reserve()
	if err != nil {
		return 0, err
	}
	r.release()
	return r.port, nil
}
