//go:build !linux

package caddytest

import "testing"

// BlackHole fails the test: how to fill a backlog is known for Linux only.
func BlackHole(t testing.TB) string {
	t.Helper()
	t.Fatal("caddytest: BlackHole needs Linux")
	return ""
}
