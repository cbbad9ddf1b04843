package caddytest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stopTimeout is how long a process gets to end after SIGTERM before it is
// killed; above any grace period that a test sets.
const stopTimeout = 30 * time.Second

// process is a child that the harness started and that ends with the test.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the child has been waited for
	err  error         // what Wait returned; valid after done
}

// startChild starts cmd and waits for it in the background. The child's
// standard input stays open as long as this process lives; see exitWithParent.
func startChild(cmd *exec.Cmd) (*process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait() // closes our end of stdin as well
		_ = stdin.Close()
		close(p.done)
	}()
	return p, nil
}

// stop sends SIGTERM and waits; a child that does not go is killed.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.kill()
	}
}

// kill sends SIGKILL and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// startProcess runs this test binary as `caddy run` with cfg.
func (c *Caddy) startProcess(t testing.TB, cfg Config, s settings, storage string) error {
	var err error
	if c.in, err = newInstance(storage, map[string]any{"output": "stderr"}); err != nil {
		return err
	}
	config, err := c.in.render(cfg)
	if err != nil {
		return err
	}
	file := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return err
	}
	cmd := reexec(t, roleCaddy, "run", "--config", file)
	cmd.Env = append(cmd.Env, s.env...)
	cmd.Stdout, cmd.Stderr = c.logs, c.logs
	if c.process, err = startChild(cmd); err != nil {
		return err
	}
	t.Cleanup(c.process.kill)
	return c.awaitAdmin(c.process)
}

// needProcess fails a test that asks an in-process Caddy for something that
// only a process of its own can do.
func (c *Caddy) needProcess(t testing.TB, what string) *process {
	t.Helper()
	if c.process == nil {
		t.Fatalf("caddytest: %s needs a Caddy started with Process()", what)
	}
	return c.process
}

// Kill ends a Caddy of [Process] with SIGKILL and waits until it is gone.
func (c *Caddy) Kill(t testing.TB) {
	t.Helper()
	c.needProcess(t, "Kill").kill()
}

// Signal sends a signal to a Caddy of [Process].
func (c *Caddy) Signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := c.needProcess(t, "Signal").cmd.Process.Signal(sig); err != nil {
		t.Fatalf("caddytest: sending %v: %v", sig, err)
	}
}

// WaitExit waits until a Caddy of [Process] has ended, and returns its exit
// code; -1 if a signal ended it. The test fails if that takes too long.
func (c *Caddy) WaitExit(t testing.TB, timeout time.Duration) int {
	t.Helper()
	p := c.needProcess(t, "WaitExit")
	select {
	case <-p.done:
	case <-time.After(timeout):
		t.Fatalf("Caddy runs on %v after it should have ended", timeout)
	}
	return p.cmd.ProcessState.ExitCode()
}

// RSS returns the resident memory of a Caddy of [Process], in bytes.
func (c *Caddy) RSS(t testing.TB) int64 {
	t.Helper()
	p := c.needProcess(t, "RSS")
	rss, err := residentBytes(p.cmd.Process.Pid)
	if err != nil {
		t.Fatalf("caddytest: reading Caddy's memory: %v", err)
	}
	return rss
}

// residentBytes reads the resident set size of a process.
func residentBytes(pid int) (int64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "VmRSS:")
		if !ok {
			continue
		}
		var kib int64
		if _, err := fmt.Sscanf(strings.TrimSpace(value), "%d kB", &kib); err != nil {
			return 0, fmt.Errorf("parsing %q: %w", lines.Text(), err)
		}
		return kib << 10, nil
	}
	return 0, errors.Join(errors.New("no VmRSS line"), lines.Err())
}
