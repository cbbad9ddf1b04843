//go:build !unix

package h1

import "testing"

// reportCPU reports nothing where processor time has no portable measure.
func reportCPU(*testing.B) func() { return func() {} }
