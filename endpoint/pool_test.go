package endpoint

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestAWarmFunctionIsServedFromTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(200*time.Millisecond, "a:1")
		p := w.pool(t)
		waits := 0
		c := w.call()
		c.OnWait = func() { waits++ }
		l := get(t, p, c)
		equal(t, "address", l.Address(), "a:1")
		equal(t, "the first request: cached", l.Cached, false)
		equal(t, "the first request: cold", l.Cold, true)
		equal(t, "the first request: waited", l.Waited, 200*time.Millisecond)
		equal(t, "the first request: start", l.Start, 200*time.Millisecond)
		equal(t, "the first request: dial", l.Dial, 0)
		l.Release()
		l = get(t, p, c)
		equal(t, "the second request: cached", l.Cached, true)
		equal(t, "the second request: cold", l.Cold, false)
		equal(t, "the second request: waited", l.Waited, 0)
		l.Release()
		equal(t, "executor calls", w.called(), 1)
		equal(t, "calls of OnWait", waits, 1)
		empty(t, p)
	})
}

func TestOneFlightServesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(time.Second, "a:1").set("a:1", refused)
		w.setLater(1300*time.Millisecond, "a:1", nil)
		p := w.pool(t)
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				l, err := p.Acquire(t.Context(), w.call())
				if err != nil {
					t.Errorf("got %v, want an address", err)
					return
				}
				equal(t, "address", l.Address(), "a:1")
				between(t, "waited", l.Waited, 1300*time.Millisecond, 1360*time.Millisecond)
				equal(t, "start", l.Start, time.Second)
				between(t, "dial", l.Dial, 300*time.Millisecond, 360*time.Millisecond)
				l.Release()
			})
		}
		synctest.Wait()
		_, waiting := p.Totals()
		equal(t, "waiting", waiting, 2000)
		wg.Wait()
		// The dial was refused for 300 ms: asked again at 50 and 150 ms, each
		// of these calls taking a second.
		between(t, "executor calls", w.called(), 1, 2)
		empty(t, p)
	})
}

func TestALeaderThatLeavesTakesNothingAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(time.Second, "a:1")
		p := w.pool(t)
		left := errors.New("client left")
		ctx, cancel := context.WithCancelCause(t.Context())
		leader := start(ctx, p, w.call())
		synctest.Wait()
		other := start(t.Context(), p, w.call())
		time.Sleep(50 * time.Millisecond)
		cancel(left)
		got := <-leader
		equal(t, "the leader's error", got.err, left)
		equal(t, "the leader waited", got.took, 50*time.Millisecond)
		if got := <-other; got.err != nil {
			t.Errorf("the other: got %v, want an address", got.err)
		}
		equal(t, "executor calls", w.called(), 1)
	})
}

func TestACallThatIsOverAlreadyTakesNoPlace(t *testing.T) {
	p := newWorld().pool(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Acquire(ctx, &Call{Function: hello})
	equal(t, "error", err, context.Canceled)
	equal(t, "functions known", len(p.Snapshot()), 0)
}

func TestTheFlightHasTheValuesOfItsLeaderAndNotItsEnd(t *testing.T) {
	type key struct{}
	for name, explicit := range map[string]bool{"from Acquire's context": false, "from Call.Values": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().script(func(ctx context.Context, _ int) ([]string, error) {
					equal(t, "value", ctx.Value(key{}), "v")
					sleep(ctx, time.Second)
					return []string{"a:1"}, ctx.Err()
				})
				p := w.pool(t)
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
				c := w.call()
				if explicit {
					c.Values = ctx
				}
				first := start(ctx, p, c)
				synctest.Wait()
				second := start(t.Context(), p, w.call())
				synctest.Wait()
				cancel()
				<-first
				if got := <-second; got.err != nil {
					t.Errorf("got %v, want an address", got.err)
				}
			})
		})
	}
}

func TestTheLastOneToLeaveEndsTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		w := newWorld().script(func(ctx context.Context, _ int) ([]string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		p := w.pool(t)
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			start(ctx, p, w.call())
		}
		synctest.Wait()
		cancel()
		equal(t, "the executor's context", <-ended, context.Canceled)
		synctest.Wait()
		empty(t, p)
		equal(t, "errors counted", p.Snapshot()[0].ExecutorErrors, 0)

		w.always("b:1")
		l := get(t, p, w.call())
		equal(t, "the next request's address", l.Address(), "b:1")
		equal(t, "the next request waited", l.Waited, 0)
	})
}

func TestAnAbandonedAnswerIsNotUsedByTheNextFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().script(func(ctx context.Context, call int) ([]string, error) {
			time.Sleep(time.Second) // deaf to its context
			return []string{[]string{"old:1", "new:1"}[call-1]}, nil
		})
		p := w.pool(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := start(ctx, p, w.call())
		time.Sleep(500 * time.Millisecond)
		cancel()
		<-first
		l := get(t, p, w.call())
		equal(t, "address", l.Address(), "new:1")
		equal(t, "waited", l.Waited, time.Second)
	})
}

func TestRequestsSpreadOverTheAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1", "c:1", "a:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		synctest.Wait()
		addresses, _ := p.Totals()
		equal(t, "addresses", addresses, 3)
		seen := map[string]int{}
		var leases []*Lease
		for range 30 {
			l := get(t, p, w.call())
			seen[l.Address()]++
			leases = append(leases, l)
		}
		for _, a := range []string{"a:1", "b:1", "c:1"} {
			equal(t, "requests at once on "+a, seen[a], 10)
		}
		for _, l := range leases[:29] {
			l.Release()
		}
		least := leases[29].Address()
		for range 8 {
			l := get(t, p, w.call())
			if l.Address() == least {
				t.Errorf("got the address with most requests, %s", least)
			}
			l.Release()
		}
		leases[29].Release()
		clear(seen)
		for range 9 { // one at a time: they go round
			l := get(t, p, w.call())
			seen[l.Address()]++
			l.Release()
		}
		for _, a := range []string{"a:1", "b:1", "c:1"} {
			equal(t, "requests in turn on "+a, seen[a], 3)
		}
	})
}

func TestFunctionsDoNotShareAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(time.Second, "a:1")
		p := w.pool(t)
		for _, version := range []string{"1", "2"} {
			c := w.call()
			c.Function = &function.Function{Ref: hello.Ref, ResourceVersion: version}
			l := get(t, p, c)
			equal(t, "cold at version "+version, l.Cold, true)
			l.Release()
		}
		equal(t, "executor calls", w.called(), 2)
		s := p.Snapshot()
		equal(t, "functions", len(s), 2)
		equal(t, "the first in order", s[0].Key.ResourceVersion, "1")
	})
}

func TestAClosedPoolServesWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		held := get(t, p, w.call())

		w.after(time.Minute, "b:1")
		cold := w.call()
		cold.Function = &function.Function{Ref: function.Ref{Name: "cold"}}
		waiting := start(t.Context(), p, cold)
		synctest.Wait()
		p.Close()
		got := <-waiting
		equal(t, "a request that waited", got.err, ErrClosed)

		l := get(t, p, w.call())
		equal(t, "a known address", l.Address(), "a:1")
		l.Release()
		_, err := p.Acquire(t.Context(), cold)
		equal(t, "an unknown address", err, ErrClosed)
		time.Sleep(2 * DefaultAddressTTL)
		get(t, p, w.call()).Release() // no refresh, and no harm
		held.Invalidate(nil)
		held.Release()
		_, err = p.Acquire(t.Context(), w.call())
		equal(t, "an address that died", err, ErrClosed)
		equal(t, "connections open", w.open(), 0)
		p.Close()
		empty(t, p)
	})
}

func TestAPanicInOnWaitLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, wait := range map[string]time.Duration{"while it waits": 0, "after it was let go": 2 * time.Second} {
			w := newWorld().after(time.Second, "a:1")
			p := w.pool(t)
			c := w.call()
			c.OnWait = func() {
				time.Sleep(wait)
				panic(name)
			}
			func() {
				defer func() { equal(t, "recovered", recover(), any(name)) }()
				p.Acquire(t.Context(), c)
			}()
			empty(t, p)
		}
	})
}
