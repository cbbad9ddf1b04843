package caddytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	// functionEnv carries the settings of a function process, as JSON.
	functionEnv = "CADDYTEST_FUNCTION"
	// functionListener is the descriptor of the inherited listener: the first
	// after the standard three.
	functionListener = 3
)

// functionJob is what a function process is told.
type functionJob struct {
	functionSettings
	Journal string `json:"journal"` // file that gets a line per request
}

// ProcessFunction is an echoing function (see [Echo] and [DoHeader]) in a
// process of its own. What it executed is known also after it was killed.
type ProcessFunction struct {
	job     functionJob
	port    int
	process *process
}

// NewProcessFunction starts a function process and returns when it answers. It
// takes the options [WithID], [Delay], [H2C] and [Down], and ends with the test.
func NewProcessFunction(t testing.TB, opts ...FunctionOption) *ProcessFunction {
	t.Helper()
	f := &ProcessFunction{}
	for _, opt := range opts {
		opt(&f.job.functionSettings)
	}
	if f.job.handler != nil || f.job.listenAfter != 0 {
		t.Fatal("caddytest: a function process takes neither WithHandler nor ListenAfter")
	}
	f.job.Journal = filepath.Join(t.TempDir(), "requests")
	held, err := reserve()
	if err != nil {
		t.Fatalf("caddytest: function process: %v", err)
	}
	f.port = held.port
	if f.job.ID == "" {
		f.job.ID = fmt.Sprintf("function-%d", f.port)
	}
	if f.job.down {
		t.Cleanup(held.release)
		return f
	}
	listener, err := held.listen()
	if err != nil {
		t.Fatalf("caddytest: function process: %v", err)
	}
	f.run(t, listener)
	return f
}

// Addr returns the function's address as host:port.
func (f *ProcessFunction) Addr() string { return fmt.Sprintf("127.0.0.1:%d", f.port) }

// URL returns the address of path on the function.
func (f *ProcessFunction) URL(path string) string { return "http://" + f.Addr() + path }

// ID returns the function's name for itself.
func (f *ProcessFunction) ID() string { return f.job.ID }

// Kill ends the process with SIGKILL and waits until it is gone.
func (f *ProcessFunction) Kill() {
	if f.process != nil {
		f.process.kill()
	}
}

// Stop ends the process with SIGTERM: it finishes what it executes.
func (f *ProcessFunction) Stop() {
	if f.process != nil {
		f.process.stop()
	}
}

// Restart starts the function again after Kill or Stop, on the same port.
func (f *ProcessFunction) Restart(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp4", f.Addr())
	if err != nil {
		t.Fatalf("caddytest: restarting function %s: %v", f.job.ID, err)
	}
	f.run(t, listener)
}

// Requests returns how many requests were begun, over all its processes.
func (f *ProcessFunction) Requests(t testing.TB) int {
	t.Helper()
	return len(f.journal(t))
}

// RequestsWithID returns how many of them bore this ID in [TestIDHeader].
func (f *ProcessFunction) RequestsWithID(t testing.TB, id string) int {
	t.Helper()
	return f.IDs(t)[id]
}

// IDs returns how often each ID was executed.
func (f *ProcessFunction) IDs(t testing.TB) map[string]int {
	t.Helper()
	ids := make(map[string]int)
	for _, id := range f.journal(t) {
		if id != "" {
			ids[id]++
		}
	}
	return ids
}

// Repeated returns the IDs that were executed more than once, and how often.
func (f *ProcessFunction) Repeated(t testing.TB) map[string]int {
	t.Helper()
	return repeated(f.IDs(t))
}

// journal reads the IDs of all requests, "" for those without.
func (f *ProcessFunction) journal(t testing.TB) []string {
	t.Helper()
	text, err := os.ReadFile(f.job.Journal)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("caddytest: function %s: %v", f.job.ID, err)
	}
	lines := strings.Split(string(text), "\n")
	return lines[:len(lines)-1]
}

// run starts the process with a listener and waits until it answers. The
// listener is the child's alone, so that it dies with it.
func (f *ProcessFunction) run(t testing.TB, listener net.Listener) {
	t.Helper()
	file, err := listener.(*net.TCPListener).File()
	_ = listener.Close()
	if err != nil {
		t.Fatalf("caddytest: function process: %v", err)
	}
	job, err := json.Marshal(f.job)
	if err != nil {
		t.Fatalf("caddytest: function process: %v", err)
	}
	cmd := reexec(t, roleFunction)
	cmd.Env = append(cmd.Env, functionEnv+"="+string(job))
	cmd.ExtraFiles = []*os.File{file}
	output := newLogBuffer()
	cmd.Stdout, cmd.Stderr = output, output
	f.process, err = startChild(cmd)
	_ = file.Close()
	if err != nil {
		t.Fatalf("caddytest: function process: %v", err)
	}
	t.Cleanup(f.process.kill)
	if err := f.awaitReady(t); err != nil {
		f.process.kill()
		t.Fatalf("caddytest: function process: %v\n%s", err, indentLog(output.tail(failureLogLines)))
	}
}

func (f *ProcessFunction) awaitReady(t testing.TB) error {
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	ended := f.process.done
	go func() {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL("/"), nil)
	if err != nil {
		return err
	}
	req.Header.Set(DoHeader, readyWord)
	resp, err := newAdminClient().Do(req)
	if err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	return resp.Body.Close()
}

// functionMain is the main function of a function process; it returns the exit
// code.
func functionMain() int {
	if err := serveFunction(); err != nil {
		fmt.Fprintln(os.Stderr, "function process:", err)
		return 1
	}
	return 0
}

func serveFunction() error {
	var job functionJob
	if err := json.Unmarshal([]byte(os.Getenv(functionEnv)), &job); err != nil {
		return fmt.Errorf("reading its settings: %w", err)
	}
	file := os.NewFile(functionListener, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("taking over the listener: %w", err)
	}
	_ = file.Close()
	// One write per line in append mode: what is written outlives a SIGKILL.
	journal, err := os.OpenFile(job.Journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	rec := &recorder{journal: func(id string) { _, _ = journal.WriteString(id + "\n") }}
	server := newFunctionServer(job.functionSettings, newBehaviour(job.functionSettings, rec))

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
		os.Exit(0)
	}()
	return server.Serve(listener)
}
