package endpoint

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// entries is how many functions the pool remembers anything of.
func entries(p *Pool) int { return len(p.all(everyKey)) }

func named(w *world, name string) *Call {
	c := w.call()
	c.Function = &function.Function{Ref: function.Ref{Namespace: "default", Name: name}}
	return c
}

func TestEntriesGoWhenNothingNeedsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().fails(errMissing)
		p := w.pool(t)
		for i := range 100 {
			p.Acquire(t.Context(), named(w, fmt.Sprint("missing", i)))
		}
		equal(t, "entries of failures", entries(p), 100)
		w.always("a:1")
		get(t, p, named(w, "used")).Release()
		held := get(t, p, named(w, "held"))
		w.fails(errDown)
		down := named(w, "down")
		down.Settings = quick()
		p.Acquire(t.Context(), down)
		time.Sleep(2 * sweepEvery)
		equal(t, "entries once the failures are forgotten", entries(p), 3)
		time.Sleep(downMemory + sweepEvery)
		equal(t, "entries once the outage is forgotten", entries(p), 2)
		time.Sleep(idleTTLs*DefaultAddressTTL + sweepEvery)
		equal(t, "entries once an address was unused for long", entries(p), 1)
		addresses, _ := p.Totals()
		equal(t, "addresses", addresses, 1)
		held.Release()
		time.Sleep(idleTTLs*DefaultAddressTTL + 2*sweepEvery)
		equal(t, "entries in the end", entries(p), 0)
		p.mu.Lock()
		equal(t, "a sweep is due", p.sweeper != nil, false)
		p.mu.Unlock()
		w.always("a:1")
		get(t, p, w.call()).Release()
		equal(t, "entries of a later request", entries(p), 1)
	})
}

func TestWhoMeetsASweptEntryFindsTheNewOne(t *testing.T) {
	w := newWorld().always("a:1")
	p := w.pool(t)
	e := p.entry(hello)
	p.remove(time.Now())
	_, _, err := e.acquire(t.Context(), w.call(), time.Now())
	equal(t, "the old one's answer", err, errDead)

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				l, err := p.Acquire(t.Context(), w.call())
				if err != nil {
					t.Errorf("got %v, want an address", err)
					return
				}
				l.Release()
			}
		})
		wg.Go(func() {
			for range 500 {
				p.Prune(func(function.Key) bool { return false })
			}
		})
	}
	wg.Wait()
	empty(t, p)
}

func TestARequestThatFoundAnEntryJustBeforeItsSweepIsServed(t *testing.T) {
	w := newWorld().always("a:1")
	p := w.pool(t)
	e := p.entry(hello)
	e.mu.Lock()
	got := start(t.Context(), p, w.call())
	time.Sleep(20 * time.Millisecond) // it is at the lock by now, or it is served the plain way
	e.dead = true
	p.mu.Lock()
	delete(p.entries, e.key)
	p.mu.Unlock()
	e.mu.Unlock()
	if got := <-got; got.err != nil {
		t.Errorf("got %v, want an address", got.err)
	}
}

func TestPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		get(t, p, named(w, "kept")).Release()
		get(t, p, named(w, "idle")).Release()
		get(t, p, named(w, "back")).Release()
		held := get(t, p, named(w, "held"))
		w.after(time.Second, "b:1")
		waiting := start(t.Context(), p, named(w, "waiting"))
		synctest.Wait()

		only := func(names ...string) func(function.Key) bool {
			return func(k function.Key) bool {
				return slices.Contains(names, k.Name)
			}
		}
		p.Prune(only("kept", "back"))
		equal(t, "entries at once", entries(p), 4)
		got := <-waiting
		if got.err != nil {
			t.Fatalf("a request that waited: got %v, want an address", got.err)
		}
		calls := w.called()
		get(t, p, named(w, "held")).Release() // a late user of the old configuration
		equal(t, "executor calls of a late user", w.called(), calls)
		held.Release()
		got.lease.Release()
		time.Sleep(sweepEvery)
		equal(t, "entries once they are idle", entries(p), 2)
		p.Prune(only("kept"))
		equal(t, "entries at last", entries(p), 1)
		time.Sleep(2 * sweepEvery)
		equal(t, "entries that stay", entries(p), 1)
	})
}

func TestAFunctionThatIsConfiguredAgainStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		l := get(t, p, w.call())
		p.Prune(func(function.Key) bool { return false })
		p.Prune(everyKey)
		l.Release()
		time.Sleep(2 * sweepEvery)
		equal(t, "entries", entries(p), 1)
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1")
		p := w.pool(t)
		for _, version := range []string{"1", "2"} {
			c := w.call()
			c.Function = &function.Function{Ref: hello.Ref, ResourceVersion: version}
			get(t, p, c)
		}
		get(t, p, named(w, "other"))
		synctest.Wait()
		equal(t, "of a function nobody knows", p.Forget(function.Ref{Name: "nobody"}), 0)
		equal(t, "addresses forgotten", p.Forget(hello.Ref), 4)
		addresses, _ := p.Totals()
		equal(t, "addresses left", addresses, 2)

		w.fails(errDefinite)
		p.Acquire(t.Context(), w.call())
		p.Forget(hello.Ref)
		w.always("c:1")
		get(t, p, w.call()) // the failure is forgotten as well
	})
}

func TestForgetDuringAFlightLetsItGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(time.Second, "a:1")
		p := w.pool(t)
		waiting := start(t.Context(), p, w.call())
		synctest.Wait()
		equal(t, "starting", p.Snapshot()[0].Starting, true)
		equal(t, "forgotten", p.Forget(hello.Ref), 0)
		if got := <-waiting; got.err != nil {
			t.Errorf("got %v, want an address", got.err)
		}
		equal(t, "executor calls", w.called(), 1)
	})
}

func TestSnapshotTellsWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		get(t, p, c)
		start(t.Context(), p, c)
		p.entry(&function.Function{Ref: function.Ref{Name: "nobody came yet"}})
		time.Sleep(time.Second)
		list := p.Snapshot()
		if len(list) != 1 || len(list[0].Addresses) != 1 {
			t.Fatalf("got %+v, want one function with one address", list)
		}
		s := list[0]
		equal(t, "key", s.Key, hello.Key())
		equal(t, "function", s.Function, c.Function)
		equal(t, "address", s.Addresses[0], AddressStatus{"a:1", time.Second, 1, time.Now()})
		equal(t, "in flight", s.InFlight, 1)
		equal(t, "waiting", s.Waiting, 1)
		equal(t, "starting", s.Starting, false)
		equal(t, "leases", s.Leases, 1)
		equal(t, "cold starts", s.ColdStarts, 1)
	})
}
