package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard" // what a Caddy has

	_ "github.com/kubefaas/caddy-kubefaas" // what is measured
)

// roleEnv tells a process that this program has started what to be.
const roleEnv = "KUBEFAAS_BENCH_ROLE"

const (
	roleCaddy   = "caddy"
	roleBackend = "backend"
)

// play is a started process's whole life. It returns the exit code.
func play(role string) int {
	go exitWithParent()
	switch role {
	case roleCaddy:
		caddycmd.Main()
		return 0
	case roleBackend:
		err := serveBackend(os.Args[1:], os.Stdout)
		fmt.Fprintln(os.Stderr, "backend:", err)
	default:
		fmt.Fprintf(os.Stderr, "%s=%s: no such role\n", roleEnv, role)
	}
	return 1
}

// exitWithParent ends this process when its parent is gone, however that one
// died: its end of our standard input closes with it.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}

// reexec prepares this program to run again in a role. Files that it keeps go
// to dir.
func reexec(role, dir string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd, nil
}
