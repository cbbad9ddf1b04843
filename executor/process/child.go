package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Variables that every program is given.
const (
	envPort     = "PORT"
	envFunction = "KUBEFAAS_FUNCTION" // "<namespace>/<name>"
)

// child is a running program and the process group that it leads.
type child struct {
	cmd    *exec.Cmd
	pid    int
	out    *output
	state  string        // how it ended; set before exited is closed
	exited chan struct{} // closed when it is gone and what was left of its group was killed

	guard *guard

	mu   sync.Mutex
	gone bool // its number may be somebody else's by now
}

// spawn starts the program on a port.
func (r *Runtime) spawn(spec Spec, port int) (*child, error) {
	cmd, err := command(spec, port)
	if err != nil {
		return nil, err
	}
	out, err := newOutput()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out.streams[0].write, out.streams[1].write
	if err := r.starter.start(cmd); err != nil {
		out.closeAll()
		return nil, explain(err, spec)
	}
	c := &child{cmd: cmd, pid: cmd.Process.Pid, out: out, exited: make(chan struct{}), guard: &r.guard}
	c.guard.watch(c.pid)
	out.begin(r.log.Named("output").With(zap.Stringer("function", spec.Ref), zap.Int("pid", c.pid)))
	go c.reap()
	return c, nil
}

func command(spec Spec, port int) (*exec.Cmd, error) {
	if spec.Dir != "" {
		// The system's own error would name the program instead.
		if info, err := os.Stat(spec.Dir); err != nil {
			return nil, fmt.Errorf("its working directory: %w", err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("its working directory: %s is no directory", spec.Dir)
		}
	}
	cmd := exec.Command(spec.Command[0], spec.Command[1:]...)
	cmd.Dir = spec.Dir
	home, err := prepare(cmd, spec.User)
	if err != nil {
		return nil, err
	}
	cmd.Env = environment(spec, port, home)
	return cmd, nil
}

func environment(spec Spec, port int, home string) []string {
	env := []string{envPort + "=" + strconv.Itoa(port), envFunction + "=" + spec.Ref.String()}
	if path, ok := os.LookupEnv("PATH"); ok {
		env = append(env, "PATH="+path)
	}
	if home != "" {
		env = append(env, "HOME="+home)
	}
	for _, v := range spec.Env {
		env = append(env, v.Key+"="+v.Value) // of two with one name, os/exec keeps the last
	}
	return env
}

// explain adds what the system leaves unsaid: it calls a script whose
// interpreter is missing missing itself.
func explain(err error, spec Spec) error {
	path := spec.Command[0]
	if !errors.Is(err, fs.ErrNotExist) || filepath.Base(path) == path {
		return err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(spec.Dir, path)
	}
	if _, statErr := os.Stat(path); statErr == nil {
		return fmt.Errorf("%w (the file is there: is the interpreter that its first line names?)", err)
	}
	return err
}

// reap waits for the program's end, takes what is left of its group along,
// and leaves no zombie.
func (c *child) reap() {
	defer close(c.exited)
	awaitExit(c.cmd)
	c.mu.Lock()
	killGroup(c.cmd.Process)
	c.gone = true
	c.mu.Unlock()
	c.guard.forget(c.pid)
	_ = c.cmd.Wait() // the state says more than the error
	c.state = c.cmd.ProcessState.String()
}

// end stops the whole group: politely, and after grace, or when hurry is
// closed, for good. It returns when the program is gone; forced is whether it
// had to be killed.
func (c *child) end(grace time.Duration, hurry <-chan struct{}) (forced bool) {
	c.signal(terminateGroup)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-c.exited:
		return false
	case <-t.C:
	case <-hurry:
	}
	c.kill()
	return true
}

func (c *child) kill() {
	c.signal(killGroup)
	<-c.exited
}

func (c *child) signal(send func(*os.Process)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		send(c.cmd.Process)
	}
}

// starter starts all programs from one thread. The parent-death signal is
// sent when the thread that started the child ends, which for a thread of the
// Go scheduler can be any time: this one is kept for as long as there are
// children.
type starter chan start

type start struct {
	cmd  *exec.Cmd
	done chan error
}

// run serves start until the channel is closed.
func (s starter) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for next := range s {
		next.done <- next.cmd.Start()
	}
}

func (s starter) start(cmd *exec.Cmd) error {
	done := make(chan error, 1)
	s <- start{cmd, done}
	return <-done
}
