package process

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
)

// The parent-death signal reaches a program, not what the program has started
// in its turn: "npm start" dies with us, the server behind it does not. A
// guard is a process beside ours that does nothing but wait for our end, and
// then kills all groups that are left.

// RunGuard is the guard's work: it reads what a runtime writes to it, and
// when that ends, kills the process groups that were still running. The
// command in Options.Guard has to call it with its standard input, and end
// when it returns.
func RunGuard(in io.Reader) {
	groups := make(map[int]bool)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		text := lines.Text()
		pid, err := strconv.Atoi(text[min(1, len(text)):])
		if err != nil || pid <= 1 {
			continue
		}
		switch text[0] {
		case '+':
			groups[pid] = true
		case '-':
			delete(groups, pid)
		}
	}
	for pid := range groups {
		// On unix a process is always found: even when the leader is gone, the
		// rest of its group may be there.
		if leader, err := os.FindProcess(pid); err == nil {
			killGroup(leader)
		}
	}
}

// guard is the runtime's end of it. Without a command it does nothing.
type guard struct {
	command []string
	log     *zap.Logger

	mu    sync.Mutex
	begun bool
	cmd   *exec.Cmd
	in    *os.File // nil when there is no guard
}

// watch tells the guard of a group, which starts the guard first.
func (g *guard) watch(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.begun && len(g.command) > 0 {
		g.begun = true
		if err := g.start(); err != nil {
			g.log.Warn("there is no guard: if this process is killed, what the functions have started may outlive it", zap.Error(err))
		}
	}
	g.tell('+', pid)
}

// forget tells the guard that a group is gone. It has to come before the
// group's number can be given to another.
func (g *guard) forget(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell('-', pid)
}

func (g *guard) start() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(g.command[0], g.command[1:]...)
	cmd.Stdin = r
	detach(cmd)
	if err := cmd.Start(); err != nil {
		w.Close()
		return err
	}
	g.cmd, g.in = cmd, w
	return nil
}

// tell writes a line, without patience for a guard that does not read.
func (g *guard) tell(what byte, pid int) {
	if g.in == nil {
		return
	}
	_ = g.in.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(g.in, "%c%d\n", what, pid); err != nil {
		g.log.Warn("the guard is gone: if this process is killed, what the functions have started may outlive it", zap.Error(err))
		g.stop()
	}
}

// close ends the guard when no group is left.
func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop()
}

func (g *guard) stop() {
	if g.in == nil {
		return
	}
	g.in.Close()
	g.in = nil
	t := time.AfterFunc(lastWait, func() { _ = g.cmd.Process.Kill() })
	defer t.Stop()
	_ = g.cmd.Wait()
}
