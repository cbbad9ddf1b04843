//go:build unix

package process

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// prepare makes the program the leader of a process group of its own, ties
// its life to ours, and returns its HOME. As root it also becomes another
// user, when one is named, without any group but that user's own.
func prepare(cmd *exec.Cmd, name string) (home string, err error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	dieWithUs(attr)
	cmd.SysProcAttr = attr
	if name == "" {
		return os.Getenv("HOME"), nil
	}
	u, uid, gid, err := lookUser(name)
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		if int(uid) != os.Geteuid() {
			return "", fmt.Errorf("running as user %s needs root", name)
		}
		return u.HomeDir, nil
	}
	attr.Credential = &syscall.Credential{Uid: uid, Gid: gid} // Groups is empty, and is set
	return u.HomeDir, nil
}

// detach keeps a terminal's signals to us away from the guard.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// validateUser looks a user up when it is going to be needed: a configuration
// for root can be checked by others, on other machines.
func validateUser(name string) error {
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	_, _, _, err := lookUser(name)
	return err
}

func lookUser(name string) (u *user.User, uid, gid uint32, err error) {
	u, err = user.Lookup(name)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("user %q: %w", name, err)
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("user %q: %w", name, err)
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("user %q: %w", name, err)
	}
	return u, uint32(id), uint32(group), nil
}

func terminateGroup(leader *os.Process) { _ = syscall.Kill(-leader.Pid, syscall.SIGTERM) }
func killGroup(leader *os.Process)      { _ = syscall.Kill(-leader.Pid, syscall.SIGKILL) }
