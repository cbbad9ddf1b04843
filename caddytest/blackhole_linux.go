package caddytest

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"
)

// blackHoleProbe is how long a dial must hang before the backlog counts as
// full. A loopback handshake takes well under a millisecond.
const blackHoleProbe = 250 * time.Millisecond

// BlackHole returns a loopback address whose dials hang until they time out:
// a listener that never accepts and whose backlog is full, so that the kernel
// drops every further handshake. That is what a pod's address looks like after
// its node is gone. It lasts until the test ends.
func BlackHole(t testing.TB) string {
	t.Helper()
	r, err := reserve()
	if err != nil {
		t.Fatalf("caddytest: black hole: %v", err)
	}
	t.Cleanup(r.release)
	if err := syscall.Listen(r.fd, 0); err != nil {
		t.Fatalf("caddytest: black hole: listening: %v", err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", r.port)
	// The kernel keeps one connection more than the backlog; a handful of
	// dials is plenty, and the first one that hangs proves the hole.
	for range 16 {
		conn, err := net.DialTimeout("tcp4", addr, blackHoleProbe)
		var netErr net.Error
		if errors.As(err, &netErr) && netErr.Timeout() {
			return addr
		}
		if err != nil {
			t.Fatalf("caddytest: black hole: filling the backlog: %v", err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("caddytest: black hole: the backlog did not fill up after 16 connections")
	return ""
}
