//go:build unix && !linux

package process

import (
	"os/exec"
	"syscall"
)

// dieWithUs does nothing: only Linux has a parent-death signal.
func dieWithUs(*syscall.SysProcAttr) {}

// awaitExit reaps the process: only Linux is sure to be able to wait without.
// The group's number stays taken as long as anybody is left in it.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() }
