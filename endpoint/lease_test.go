package endpoint

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestManyFailuresOnOneAddressCauseOneInvalidationAndOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		var invalidated []string
		p := New(Options{Dial: w.dial, Events: Events{Invalidated: func(_ *fn, addr string, why error) {
			invalidated = append(invalidated, addr+" "+why.Error())
		}}})
		defer p.Close()
		var leases []*Lease
		for range 100 {
			leases = append(leases, get(t, p, w.call()))
		}
		// The address comes back at the same place.
		w.after(time.Second, "a:1")
		var wg sync.WaitGroup
		for _, l := range leases {
			wg.Go(func() {
				l.Invalidate(errDefinite)
				l.Release()
				again, err := p.Acquire(t.Context(), w.call())
				if err != nil {
					t.Errorf("got %v, want an address", err)
					return
				}
				l.Invalidate(errDefinite) // late news about the old one
				again.Release()
			})
		}
		wg.Wait()
		equal(t, "executor calls", w.called(), 2)
		equal(t, "addresses", hosts(p), "a:1")
		if want := []string{"a:1 no"}; !slices.Equal(invalidated, want) {
			t.Errorf("told to Invalidated: got %q, want %q", invalidated, want)
		}
		empty(t, p)
	})
}

func TestInvalidateByText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1")
		p := w.pool(t)
		equal(t, "of a function nobody knows", p.Invalidate(hello.Key(), "a:1"), false)
		first := get(t, p, w.call())
		synctest.Wait()
		equal(t, "of an address nobody knows", p.Invalidate(hello.Key(), "c:1"), false)
		equal(t, "of a known one", p.Invalidate(hello.Key(), first.Address()), true)
		equal(t, "again", p.Invalidate(hello.Key(), first.Address()), false)
		for range 3 {
			if l := get(t, p, w.call()); l.Address() == first.Address() {
				t.Errorf("got %s, which was invalidated", l.Address())
			}
		}
		n, used := p.Use(hello.Key(), first.Address())
		equal(t, "requests still on it", n, 1)
		equal(t, "last used", used, time.Now())
		first.Release()
		n, used = p.Use(hello.Key(), first.Address())
		equal(t, "requests on it afterwards", n, 0)
		equal(t, "known afterwards", used.IsZero(), true)
	})
}

func TestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		n, used := p.Use(hello.Key(), "a:1")
		equal(t, "known", n > 0 || !used.IsZero(), false)
		first, second := get(t, p, w.call()), get(t, p, w.call())
		time.Sleep(time.Second)
		n, used = p.Use(hello.Key(), "a:1")
		equal(t, "in flight", n, 2)
		equal(t, "last used", used, time.Now())
		first.Release()
		second.Release()
		end := time.Now()
		time.Sleep(time.Second)
		n, used = p.Use(hello.Key(), "a:1")
		equal(t, "in flight afterwards", n, 0)
		equal(t, "last used afterwards", used, end)
	})
}

func taps(p *Pool) []string {
	var list []string
	p.Taps(func(fn *function.Function, ex Executor, addr string) { list = append(list, fn.Name+"@"+addr) })
	slices.Sort(list)
	return list
}

func TestTaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		want := func(when string, want ...string) {
			t.Helper()
			if got := taps(p); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", when, got, want)
			}
		}
		want("before any request")
		l := get(t, p, w.call())
		want("before the response")
		l.Release()
		l.Responding()
		want("a response after the end")

		for range 3 {
			l = get(t, p, w.call())
			l.Responding()
			l.Responding()
			l.Release()
		}
		want("after three responses", "hello@a:1")
		want("a moment later")

		stream := get(t, p, w.call())
		stream.Responding()
		for range 3 {
			want("during a stream", "hello@a:1")
		}
		stream.Invalidate(errDefinite)
		want("during a stream on an address that gets no new requests", "hello@a:1")
		stream.Release()
		want("the last time after a stream", "hello@a:1")
		want("after that")
	})
}

func TestTapsThatNobodyAsksForAreForgottenInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		stay := w.call()
		stay.Function = &function.Function{Ref: function.Ref{Name: "stay"}}
		l := get(t, p, stay)
		l.Responding()
		l.Release()
		l = get(t, p, w.call())
		l.Responding()
		l.Release()
		l.Invalidate(errDefinite)
		time.Sleep(2 * downMemory)
		if got := taps(p); !slices.Equal(got, []string{"stay@a:1"}) {
			t.Errorf("got %q, want only the function that is still there", got)
		}
	})
}

func TestEventsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(time.Second, "a:1").set("a:1", refused)
		w.setLater(time.Second+3*time.Millisecond, "a:1", nil)
		var p *Pool
		p = New(Options{Dial: w.dial, Events: Events{
			Started: func(f *fn) { w.note("started " + f.Name); p.Snapshot() }, // no lock is held
			Ready: func(f *fn, addr string, ph Phases) {
				w.note("ready " + addr + " " + ph.Start.String() + " " + ph.Dial.String())
				p.Forget(f.Ref)
			},
			Invalidated: func(_ *fn, addr string, why error) { w.note("invalidated " + addr + " " + why.Error()); p.Snapshot() },
			Failed:      func(_ *fn, err error) { w.note("failed " + err.Error()); p.Snapshot() },
		}})
		defer p.Close()
		get(t, p, w.call())
		synctest.Wait()
		w.fails(errDefinite)
		if _, err := p.Acquire(t.Context(), w.call()); !errors.Is(err, errDefinite) {
			t.Errorf("got %v, want %v", err, errDefinite)
		}
		synctest.Wait()
		want := []string{"started hello", "ready a:1 1s 5ms", "invalidated a:1 forgotten", "started hello", "failed no"}
		if !slices.Equal(w.log, want) {
			t.Errorf("got %q\nwant %q", w.log, want)
		}
	})
}
