package main

import (
	"fmt"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// startTimeout bounds how long a process may take until it listens;
	// generous, since Caddy with 100,000 triggers may share its processor.
	startTimeout = 2 * time.Minute
	// stopTimeout is how long it has to end before it is killed.
	stopTimeout = 5 * time.Second
)

// child is a process that was started here.
type child struct {
	cmd  *exec.Cmd
	said *tail         // the end of what it printed
	done chan struct{} // closed when it has ended
}

// startChild starts cmd with what it prints kept, its standard output too
// unless that is set. Its standard input is open for as long as this process
// lives.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, said: new(tail), done: make(chan struct{})}
	cmd.Stderr = c.said
	if cmd.Stdout == nil {
		cmd.Stdout = c.said
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.done)
		_ = cmd.Wait() // how it ended is in ProcessState
		_ = stdin.Close()
	}()
	return c, nil
}

// awaitListening returns when something accepts connections at addr, or with
// what the process has said if it ended or took too long.
func (c *child) awaitListening(addr string) error {
	for end := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		select {
		case <-c.done: // so it was somebody else
			return fmt.Errorf("%s: %v:\n%s", c.cmd.Path, c.cmd.ProcessState, c.said)
		default:
		}
		switch {
		case err == nil:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%s: %w after %v:\n%s", c.cmd.Path, err, startTimeout, c.said)
		}
	}
}

// stop ends the process and waits until it is gone.
func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // fails if it is gone
	select {
	case <-c.done:
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// maxTail is how much is kept of what a process prints, in bytes.
const maxTail = 8 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if surplus := len(t.text) - maxTail; surplus > 0 {
		t.text = t.text[:copy(t.text, t.text[surplus:])]
	}
	return len(p), nil
}

// String is what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
