package endpoint

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// world is a scripted executor and a network of addresses that listen or do
// not. It is what the pool sees; the tests change it as time goes by.
type world struct {
	mu    sync.Mutex
	calls int
	at    []time.Duration // of each call, since the beginning
	began time.Time
	// answer is the executor; called without the lock.
	answer func(ctx context.Context, call int) ([]string, error)
	// state of each address: nil listens, an error is the dial's.
	state map[string]error
	dials map[string]int
	conns []net.Conn // the far ends
	log   []string
}

func newWorld() *world {
	return &world{state: make(map[string]error), dials: make(map[string]int), began: time.Now()}
}

var refused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}

// hangs is the state of an address whose dials take until their time-out.
var hangs = errors.New("hangs")

func (w *world) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	w.mu.Lock()
	w.calls++
	n, answer := w.calls, w.answer
	w.at = append(w.at, time.Since(w.began))
	w.mu.Unlock()
	return answer(ctx, n)
}

func (w *world) always(addrs ...string) *world {
	return w.script(func(context.Context, int) ([]string, error) { return addrs, nil })
}

func (w *world) after(d time.Duration, addrs ...string) *world {
	return w.script(func(ctx context.Context, _ int) ([]string, error) {
		if !sleep(ctx, d) {
			return nil, ctx.Err()
		}
		return addrs, nil
	})
}

func (w *world) fails(err error) *world {
	return w.script(func(context.Context, int) ([]string, error) { return nil, err })
}

func (w *world) script(f func(context.Context, int) ([]string, error)) *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
	return w
}

func (w *world) set(addr string, err error) *world {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state[addr] = err
	return w
}

func (w *world) setLater(d time.Duration, addr string, err error) {
	time.AfterFunc(d, func() { w.set(addr, err) })
}

func (w *world) called() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func (w *world) dial(ctx context.Context, addr string) (net.Conn, error) {
	w.mu.Lock()
	w.dials[addr]++
	err := w.state[addr]
	w.mu.Unlock()
	switch err {
	case nil:
		near, far := net.Pipe()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.conns = append(w.conns, far)
		return near, nil
	case hangs:
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	return nil, err
}

func (w *world) dialed(addr string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials[addr]
}

func (w *world) note(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, s)
}

// open is how many connections the pool holds open.
func (w *world) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, c := range w.conns {
		c.SetReadDeadline(time.Now().Add(time.Nanosecond))
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			n++
		}
	}
	return n
}

// pool makes a pool over the world that is closed with the test.
func (w *world) pool(t testing.TB) *Pool {
	p := New(Options{Dial: w.dial})
	t.Cleanup(p.Close)
	return p
}

func (w *world) call() *Call { return &Call{Function: hello, Executor: w} }

// fn keeps the signatures of event functions short.
type fn = function.Function

var hello = &function.Function{Ref: function.Ref{Namespace: "default", Name: "hello"}}

// limited is hello with at most n requests an address.
func limited(n int) *function.Function {
	fn := *hello
	fn.Concurrency = n
	return &fn
}

// quick are settings with exact delays.
func quick() *Settings {
	return &Settings{
		Backoff: func() backoff.BackOff {
			return backoff.WithMaxRetries(backoff.NewExponentialBackOff(
				backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMultiplier(2),
				backoff.WithMaxInterval(time.Second), backoff.WithRandomizationFactor(0),
				backoff.WithMaxElapsedTime(0)), 9)
		},
		DialTimeout: func(attempt int) time.Duration { return 50 * time.Millisecond << (attempt - 1) },
	}
}

type executorError struct{ temporary, notFound bool }

func (e *executorError) Error() string   { return "executor error" }
func (e *executorError) Temporary() bool { return e.temporary }
func (e *executorError) NotFound() bool  { return e.notFound }

var (
	errDown     = &executorError{temporary: true}
	errMissing  = &executorError{notFound: true}
	errDefinite = errors.New("no")
)

// acquired is what an Acquire in the background came to.
type acquired struct {
	lease *Lease
	err   error
	took  time.Duration
}

// start calls Acquire in the background.
func start(ctx context.Context, p *Pool, c *Call) <-chan acquired {
	ch := make(chan acquired, 1)
	began := time.Now()
	go func() {
		l, err := p.Acquire(ctx, c)
		ch <- acquired{l, err, time.Since(began)}
	}()
	return ch
}

// get acquires, and fails the test if that fails.
func get(t *testing.T, p *Pool, c *Call) *Lease {
	t.Helper()
	l, err := p.Acquire(t.Context(), c)
	if err != nil {
		t.Fatalf("Acquire: got %v, want an address", err)
	}
	return l
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func between[T int | time.Duration](t *testing.T, what string, got, low, high T) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: got %v, want %v to %v", what, got, low, high)
	}
}

// empty asserts that nobody waits and no place is counted as taken.
func empty(t *testing.T, p *Pool) {
	t.Helper()
	if _, waiting := p.Totals(); waiting != 0 {
		t.Errorf("places taken in the waiting room: got %d, want 0", waiting)
	}
	for _, s := range p.Snapshot() {
		equal(t, "requests that wait for "+s.Key.Name, s.Waiting, 0)
		equal(t, "requests in flight to "+s.Key.Name, s.InFlight, 0)
	}
}

// noLeaks fails the test if goroutines of this package are left after it.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > before {
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("goroutines left: got %d, want %d\n%s",
					runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}
