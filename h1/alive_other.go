//go:build !unix

package h1

import "net"

// newProbe returns nil: where peeking without waiting is not portable, an idle
// connection is taken for alive and RoundTrip's retry rule handles the rest.
func newProbe(net.Conn) func() bool { return nil }
