package caddytest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

func TestThousandsWaitForOneCallOfTheExecutor(t *testing.T) {
	const n = manyClients
	f := NewFunction(t)
	p := startPlatform(t, "", triggersFor("hello"), Process())
	release := make(chan struct{})
	p.ex.Answer("hello", executortest.Answer{Text: f.Addr(), Until: release})
	wires := p.dialWires(t, n)
	sendAll(t, wires, http.MethodGet, "/hello", "")
	p.awaitWaiting(t, n)
	close(release)
	t.Log(receiveAll(t, wires))
	if got := p.ex.CallsFor("hello"); got != 1 {
		t.Errorf("got %d calls of the executor, want 1", got)
	}
	if got, again := len(f.IDs()), f.Repeated(); got != n || len(again) > 0 {
		t.Errorf("got %d requests executed, %d of them more than once, want %d and none", got, len(again), n)
	}
	if got := p.waiting(t); got != 0 {
		t.Errorf("got %d places taken at the end, want 0", got)
	}
}

// The flight belongs to nobody: who began it may leave.
func TestLeaderLeavesAndTheOthersAreServed(t *testing.T) {
	const others = 200
	for name, leader := range map[string]struct{ method, body string }{
		"a GET":                               {http.MethodGet, ""},
		"a POST with a small body":            {http.MethodPost, "small"},
		"a POST with a body that is not held": {http.MethodPost, string(make([]byte, 64<<10+1))},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFunction(t)
			p := startPlatform(t, "", triggersFor("hello"))
			release := make(chan struct{})
			p.ex.Answer("hello", executortest.Answer{Text: f.Addr(), Until: release})

			w := p.mustDial(t)
			if err := w.send(leader.method, "/hello", "leader", leader.body); err != nil {
				t.Fatal(err)
			}
			p.awaitCalls(t, executor.CallAddress, 1)
			wires := p.dialWires(t, others)
			sendAll(t, wires, http.MethodGet, "/hello", "")
			p.awaitWaiting(t, others+1)
			time.Sleep(50 * time.Millisecond)
			w.close()
			p.awaitWaiting(t, others) // the leader's place is free, the others have theirs
			close(release)
			receiveAll(t, wires)
			if got := p.ex.CallsFor("hello"); got != 1 {
				t.Errorf("got %d calls of the executor, want 1", got)
			}
			if got := f.RequestsWithID("leader"); got != 0 {
				t.Errorf("got the leader's request executed %d times, want 0: it left", got)
			}
		})
	}
}

// Platforms name an address before anything listens there. One function after
// the other is asked for, by twenty clients each, so that the figure is about
// the router and not about how many requests two processors can carry.
func TestAddressThatListensLaterLosesNoRequest(t *testing.T) {
	const functions, each, n, gap = manyClients / 20, 20, manyClients, 30 * time.Millisecond
	names := functionNames(functions)
	p := startPlatform(t, "", triggersFor(names...), Process())
	fns := make([]*Function, functions)
	for i, name := range names {
		fns[i] = p.lateFunction(t, name)
	}
	wires := p.dialWires(t, n)
	done := make([]time.Time, n)
	start := time.Now()
	rep := Load(t, n, n, func(_ context.Context, i int) error {
		time.Sleep(time.Until(start.Add(time.Duration(i/each) * gap)))
		err := wires[i].ok(http.MethodGet, "/"+names[i/each], fmt.Sprint(i), "")
		done[i] = time.Now()
		return err
	})
	t.Log(rep)
	rep.RequireNoErrors(t)

	added := make([]time.Duration, n)
	for i := range done {
		added[i] = done[i].Sub(fns[i/each].Listening())
	}
	slices.Sort(added)
	p99 := added[n*99/100]
	t.Logf("answered after the function listened: p50 %v, p90 %v, p99 %v, max %v", added[n/2], added[n*90/100], p99, added[n-1])
	if p99 > time.Second && !raceEnabled {
		t.Errorf("got p99 %v after the function listened, want less than 1s (on an idle machine: 60ms)", p99)
	}
	for i, f := range fns {
		if got, again := len(f.IDs()), f.Repeated(); got != each || len(again) > 0 {
			t.Errorf("%s: got %d requests executed, %d of them more than once, want %d and none", names[i], got, len(again), each)
		}
		if got := p.ex.MaxConcurrentFor(names[i]); got > 1 {
			t.Errorf("%s: got %d calls of the executor at once, want 1", names[i], got)
		}
		// One call, and then by the back-off of 50 ms, doubled, up to 1 s.
		if got := p.ex.CallsFor(names[i]); got > 8 {
			t.Errorf("%s: got %d calls of the executor, want 8 at most", names[i], got)
		}
	}
}

// lateFunction is a function that begins to listen within a second of its
// address being given out.
func (p *platform) lateFunction(t *testing.T, name string) *Function {
	f := NewFunction(t, Down(), WithHandler(Status(http.StatusOK)))
	begin := sync.OnceFunc(func() { f.ListenAfter(rand.N(time.Second)) })
	p.ex.AnswerFunc(name, func(executortest.Call, int) executortest.Answer {
		begin()
		return executortest.At(f.Addr())
	})
	return f
}

// A pod may be replaced while it is waited for.
func TestAnotherAddressReplacesOneThatNeverListens(t *testing.T) {
	f := NewFunction(t)
	dead := NewFunction(t, Down())
	p := startPlatform(t, "", triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(dead.Addr()), executortest.At(dead.Addr()), executortest.At(f.Addr()))
	if r := p.once(t, http.MethodPost, "/hello", "1", "body"); r.wantOK() != nil || f.RequestsWithID("1") != 1 {
		t.Errorf("got %v and %d executions, want 200 and one", r.wantOK(), f.RequestsWithID("1"))
	}
	if got := p.ex.CallsFor("hello"); got != 3 {
		t.Errorf("got %d calls of the executor, want 3", got)
	}
}
