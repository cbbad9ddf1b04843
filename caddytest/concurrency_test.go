package caddytest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// gate is a function's code that holds every request until it is let go, and
// notes their order.
type gate struct {
	mu    sync.Mutex
	order []string
	let   chan struct{} // one request goes on for each value
}

func newGate() *gate { return &gate{let: make(chan struct{}, 1000)} }

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.order = append(g.order, r.Header.Get(TestIDHeader))
	g.mu.Unlock()
	select {
	case <-g.let:
	case <-r.Context().Done():
	}
}

// open lets n requests go.
func (g *gate) open(n int) {
	for range n {
		g.let <- struct{}{}
	}
}

func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.order)
}

// limited is the app's line for a function with a limit.
func limited(n int) string { return fmt.Sprintf("function hello {\nconcurrency %d\n}", n) }

func TestConcurrencyIsNeverExceededUnderLoad(t *testing.T) {
	const limit, clients, each = 3, 60, 10
	f := NewFunction(t, Delay(time.Millisecond))
	p := startPlatform(t, limited(limit), triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	wires := p.dialWires(t, clients)
	rep := Load(t, clients, clients, func(_ context.Context, i int) error {
		for n := range each {
			if err := wires[i].ok(http.MethodPost, "/hello", fmt.Sprint(i, "-", n), "body"); err != nil {
				return err
			}
		}
		return nil
	})
	rep.RequireNoErrors(t)
	if got := f.MaxConcurrent(); got != limit {
		t.Errorf("got %d requests at the function at once, want %d", got, limit)
	}
	if n, again := len(f.IDs()), f.Repeated(); n != clients*each || len(again) > 0 {
		t.Errorf("got %d requests executed, %v more than once, want %d and none", n, again, clients*each)
	}
}

func TestRequestsOverTheLimitAreServedInTheOrderTheyCame(t *testing.T) {
	const n = 30
	g := newGate()
	f := NewFunction(t, WithHandler(g))
	p := startPlatform(t, limited(1), triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	wires := p.dialWires(t, n)
	var want []string
	for i, w := range wires {
		want = append(want, fmt.Sprint(i))
		if err := w.send(http.MethodGet, "/hello", want[i], ""); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			Eventually(t, patience, func() bool { return f.Active() == 1 }, func() string { return "the first request has not come" })
		}
		p.awaitWaiting(t, i)
	}
	g.open(n)
	receiveAll(t, wires)
	if got := g.seen(); !slices.Equal(got, want) {
		t.Errorf("got order %v, want that of arrival", got)
	}
	if got := f.MaxConcurrent(); got != 1 {
		t.Errorf("got %d requests at the function at once, want 1", got)
	}
}

// A client that leaves gives its place away: in the room, or at the function.
func TestPlacesOfClientsThatLeave(t *testing.T) {
	g := newGate()
	f := NewFunction(t, WithHandler(g))
	p := startPlatform(t, limited(1), triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	wires := p.dialWires(t, 4)
	for i, w := range wires {
		if err := w.send(http.MethodGet, "/hello", fmt.Sprint(i), ""); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			Eventually(t, patience, func() bool { return f.Active() == 1 }, func() string { return "the first request has not come" })
		}
		p.awaitWaiting(t, i)
	}
	wires[1].close() // waits
	p.awaitWaiting(t, 2)
	wires[0].close() // is executed
	p.awaitWaiting(t, 1)
	g.open(2)
	receiveAll(t, wires[2:])
	if got, want := g.seen(), []string{"0", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("got order %v, want %v", got, want)
	}
}

// Requests that find no place within cold_start_timeout are told so.
func TestNoPlaceInTime(t *testing.T) {
	g := newGate()
	f := NewFunction(t, WithHandler(g))
	p := startPlatform(t, "cold_start_timeout 300ms\n"+limited(1), triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	first := p.mustDial(t)
	if err := first.send(http.MethodGet, "/hello", "first", ""); err != nil {
		t.Fatal(err)
	}
	Eventually(t, patience, func() bool { return f.Active() == 1 }, func() string { return "the first request has not come" })
	r := p.once(t, http.MethodGet, "/hello", "second", "")
	if r.status != http.StatusServiceUnavailable || r.reason() != "concurrency_limit" || r.header.Get("Retry-After") == "" {
		t.Errorf("got %d %q, Retry-After %q, want 503 concurrency_limit and one", r.status, r.reason(), r.header.Get("Retry-After"))
	}
	g.open(1)
	if _, err := first.receive(); err != nil {
		t.Errorf("the first request: %v", err)
	}
	if got := f.RequestsWithID("second"); got != 0 {
		t.Errorf("got the refused request executed %d times, want 0", got)
	}
}

// An executor that gives more addresses raises the limit.
func TestMoreCapacityRaisesTheLimit(t *testing.T) {
	g := newGate()
	a, b := NewFunction(t, WithHandler(g)), NewFunction(t, WithHandler(g))
	p := startPlatform(t, limited(2), triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(a.Addr()))
	p.ex.AnswerCapacity("hello", executortest.At(b.Addr()), executortest.At(b.Addr()))
	wires := p.dialWires(t, 6)
	sendAll(t, wires, http.MethodGet, "/hello", "")
	Eventually(t, patience, func() bool { return a.Active() == 2 && b.Active() == 2 },
		func() string {
			return fmt.Sprintf("got %d and %d requests at the two addresses, want 2 and 2", a.Active(), b.Active())
		})
	p.awaitWaiting(t, 2)
	g.open(6)
	receiveAll(t, wires)
	if most := max(a.MaxConcurrent(), b.MaxConcurrent()); most != 2 {
		t.Errorf("got %d requests at one address at once, want 2", most)
	}
}
