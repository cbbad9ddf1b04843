//go:build unix

package process

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// patience bounds every wait of a test; on an idle machine none comes near.
const patience = 60 * time.Second

// fakeRouter is a router whose use of addresses the test decides.
type fakeRouter struct {
	mu          sync.Mutex
	inFlight    map[string]int
	last        map[string]time.Time
	invalidated map[string]int
	refreshed   int
}

func newFakeRouter() *fakeRouter {
	return &fakeRouter{inFlight: map[string]int{}, last: map[string]time.Time{}, invalidated: map[string]int{}}
}

func (f *fakeRouter) Use(_ function.Key, addr string) (int, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inFlight[addr], f.last[addr]
}

func (f *fakeRouter) Invalidate(_ function.Key, addr string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invalidated[addr]++
	return f.invalidated[addr] == 1
}

func (f *fakeRouter) Refresh(function.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refreshed++
}

func (f *fakeRouter) busy(addr string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight[addr] = n
	f.last[addr] = time.Now()
}

func (f *fakeRouter) wasInvalidated(addr string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.invalidated[addr] > 0
}

func (f *fakeRouter) refreshes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refreshed
}

// world is a runtime under test and all that it says.
type world struct {
	t      *testing.T
	rt     *Runtime
	router *fakeRouter
	logs   *observer.ObservedLogs

	mu     sync.Mutex
	events []Event
}

// newWorld returns a runtime that is closed, and seen to have left nothing,
// at the end of the test.
func newWorld(t *testing.T, o Options) *world {
	core, logs := observer.New(zapcore.DebugLevel)
	w := &world{t: t, router: newFakeRouter(), logs: logs}
	if o.Logger == nil {
		o.Logger = zap.New(core)
	}
	o.Events = func(e Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	w.rt = NewRuntime(w.router, o)
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.rt.Close(ctx); err != nil {
		w.t.Errorf("Close: %v; want nil", err)
	}
	for _, e := range w.seen(EventStart) {
		if !gone(e.Pid) {
			w.t.Errorf("after Close, pid %d of %s is there; want it gone", e.Pid, e.Function)
		}
	}
}

// executor returns a started executor.
func (w *world) executor(specs ...Spec) *Executor {
	w.t.Helper()
	e, err := NewExecutor(w.rt, specs)
	if err != nil {
		w.t.Fatalf("NewExecutor: %v", err)
	}
	if err := e.Start(); err != nil {
		w.t.Fatalf("Start: %v", err)
	}
	return e
}

func (w *world) seen(kind EventKind) []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.events), func(e Event) bool { return e.Kind != kind })
}

// eventually waits for a condition.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("after %s, not so: %s\nsnapshot: %+v", patience, what, w.rt.Snapshot())
		}
	}
}

func (w *world) states() (starting, ready, stopping int) {
	for _, s := range w.rt.Snapshot() {
		switch s.State {
		case StateStarting:
			starting++
		case StateReady:
			ready++
		case StateStopping:
			stopping++
		}
	}
	return starting, ready, stopping
}

// ready returns the pids of the instances that are ready.
func (w *world) ready() (pids []int) {
	for _, s := range w.rt.Snapshot() {
		if s.State == StateReady {
			pids = append(pids, s.Pid)
		}
	}
	return pids
}

func fn(name string) *function.Function {
	return &function.Function{Ref: function.Ref{Namespace: "default", Name: name}}
}

// address asks for the function's addresses and wants exactly one.
func (w *world) address(e *Executor, name string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	addrs, err := e.Addresses(ctx, fn(name))
	if err != nil || len(addrs) != 1 {
		w.t.Fatalf("Addresses(%s) = %v, %v; want one address", name, addrs, err)
	}
	return addrs[0]
}

// startError asks for addresses, and wants an error of the given type.
func startError[E error](w *world, e *Executor, name string) E {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	addrs, err := e.Addresses(ctx, fn(name))
	want, ok := errors.AsType[E](err)
	if !ok {
		w.t.Fatalf("Addresses(%s) = %v, %T %v; want a %T", name, addrs, err, err, want)
	}
	return want
}

func get(t *testing.T, addr, path string) string {
	t.Helper()
	body, err := tryGet(addr, path)
	if err != nil {
		t.Fatalf("GET %s of %s: %v", path, addr, err)
	}
	return body
}

func tryGet(addr, path string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func getInt(t *testing.T, addr, path string) int {
	t.Helper()
	n, err := strconv.Atoi(get(t, addr, path))
	if err != nil {
		t.Fatalf("GET %s of %s: %v", path, addr, err)
	}
	return n
}

// closed is whether nothing listens on an address.
func closed(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

// openFiles counts this process's descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// lines returns the log entries of a function's output, by stream.
func (w *world) lines(stream string) (out []string) {
	for _, e := range w.logs.All() {
		if e.ContextMap()["stream"] == stream {
			out = append(out, e.Message)
		}
	}
	return out
}

// logged returns the fields of the first entry with a message; nil when there
// is none.
func (w *world) logged(message string) map[string]any {
	for _, e := range w.logs.FilterMessage(message).All() {
		return maps.Clone(e.ContextMap())
	}
	return nil
}

// gone is whether there is no process with a pid, not even a zombie.
func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }
