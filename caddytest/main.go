package caddytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // a real Caddy has them
)

// roleEnv tells a re-executed test binary what to be.
const roleEnv = "CADDYTEST_ROLE"

// The roles of a re-executed test binary.
const (
	roleCaddy    = "caddy"
	roleFunction = "function"
)

// Main runs the tests of a package, or turns this process into the Caddy or
// the function that one of those tests asked for. It never returns. Every
// package that uses [Process], [CLI] or [NewProcessFunction] calls it from its
// TestMain.
func Main(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case roleCaddy:
		exitWithParent()
		caddycmd.Main()
		os.Exit(0)
	case roleFunction:
		exitWithParent()
		os.Exit(functionMain())
	default:
		mainCalled = true
		code := m.Run()
		for _, clean := range atEnd {
			clean()
		}
		os.Exit(code)
	}
}

// atEnd is done when all tests have run.
var atEnd []func()

// mainCalled is set before any test runs, and only read after that.
var mainCalled bool

// exitWithParent ends this process when the test process is gone, however that
// one died: its end of our standard input closes with it.
func exitWithParent() {
	if os.Getenv(aloneEnv) != "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
}

// aloneEnv is set for processes that are waited for and use their own standard
// input; they need no watch over their parent.
const aloneEnv = "CADDYTEST_ALONE"

// reexec prepares this test binary to run again in another role. It fails the
// test if the package's TestMain would start the tests a second time instead.
func reexec(t testing.TB, role string, args ...string) *exec.Cmd {
	t.Helper()
	if !mainCalled {
		t.Fatal("caddytest: this package needs func TestMain(m *testing.M) { caddytest.Main(m) }")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatalf("caddytest: finding the test binary: %v", err)
	}
	cmd := exec.Command(exe, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), roleEnv+"="+role,
		"HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	return cmd
}

// CLI runs `caddy <args>` with all modules of the test binary and waits for it.
// An exit code other than 0 is a result, not a failure of the test.
func CLI(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := reexec(t, roleCaddy, args...)
	cmd.Env = append(cmd.Env, aloneEnv+"=1")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("caddytest: caddy %v: %v", args, err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// waitDescription says how a process ended, for failure messages.
func waitDescription(cmd *exec.Cmd, err error) string {
	if err == nil {
		return "exited with code 0"
	}
	return fmt.Sprintf("process %d: %v", cmd.Process.Pid, err)
}
