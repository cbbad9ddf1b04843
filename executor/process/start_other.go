//go:build !unix

package process

import (
	"errors"
	"os"
	"os/exec"
)

// Here is neither a process group nor a polite signal: a program is killed,
// and what it started is its own affair.

var errNoUser = errors.New("user: not on this system")

func prepare(_ *exec.Cmd, name string) (home string, err error) {
	if name != "" {
		return "", errNoUser
	}
	return os.UserHomeDir()
}

func detach(*exec.Cmd) {}

func validateUser(name string) error {
	if name != "" {
		return errNoUser
	}
	return nil
}

func awaitExit(cmd *exec.Cmd)           { _ = cmd.Wait() }
func terminateGroup(leader *os.Process) { _ = leader.Kill() }
func killGroup(leader *os.Process)      { _ = leader.Kill() }
