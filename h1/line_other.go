//go:build !unix

package h1

import "net"

// line does nothing where there is no portable way to look at a connection without
// waiting: an idle one is taken for alive, and RoundTrip's retry rule does the rest.
type line struct{}

func newLine(net.Conn) *line { return nil }

func (*line) alive() bool { return true }

func (*line) ask(*exchange, *writer) (done bool, err error) { return false, nil }
