package endpoint

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// expire waits until the addresses want a refresh, and sends the request that
// begins it.
func expire(t *testing.T, p *Pool, c *Call) {
	t.Helper()
	time.Sleep(DefaultAddressTTL)
	l := get(t, p, c)
	equal(t, "the request that begins a refresh: cached", l.Cached, true)
	l.Release()
}

func hosts(p *Pool) string {
	var list []string
	for _, s := range p.Snapshot() {
		for _, a := range s.Addresses {
			list = append(list, a.Address)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestAnExpiredAddressServesWhileOneRefreshRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		time.Sleep(DefaultAddressTTL - 1)
		get(t, p, w.call()).Release()
		synctest.Wait()
		equal(t, "executor calls before the end of its life", w.called(), 1)

		w.after(5*time.Second, "a:1")
		time.Sleep(1)
		for range 100 {
			l := get(t, p, w.call())
			equal(t, "cached", l.Cached, true)
			l.Release()
			time.Sleep(10 * time.Millisecond)
		}
		equal(t, "executor calls", w.called(), 2)
		time.Sleep(5 * time.Second)
		get(t, p, w.call()).Release()
		synctest.Wait()
		equal(t, "executor calls after the same answer", w.called(), 2)
		equal(t, "dials", w.dialed("a:1"), 1)
		time.Sleep(DefaultAddressTTL)
		get(t, p, w.call()).Release()
		synctest.Wait()
		equal(t, "executor calls a lifetime later", w.called(), 3)
	})
}

func TestAnotherAddressIsDialledBeforeItServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		var changed []string
		p := New(Options{Dial: w.dial, Events: Events{Changed: func(_ *fn, old, new []string) {
			changed = append(changed, strings.Join(old, ",")+">"+strings.Join(new, ","))
		}}})
		defer p.Close()
		get(t, p, w.call()).Release()
		w.always("b:1", "c:1", "b:1").set("b:1", refused).set("c:1", refused)
		expire(t, p, w.call())
		time.Sleep(3 * time.Second)
		equal(t, "addresses while the new ones do not listen", hosts(p), "a:1")
		w.set("b:1", nil)
		time.Sleep(100 * time.Millisecond)
		equal(t, "addresses once one listens", hosts(p), "b:1")
		w.set("c:1", nil)
		time.Sleep(100 * time.Millisecond)
		equal(t, "addresses once the other listens", hosts(p), "b:1 c:1")
		equal(t, "told to Changed", strings.Join(changed, " "), "a:1>b:1,c:1,b:1")
		equal(t, "executor calls", w.called(), 2)
	})
}

func TestARefreshMayKeepPartOfWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		synctest.Wait()
		equal(t, "addresses", hosts(p), "a:1 b:1")
		w.always("b:1", "c:1").set("c:1", refused)
		w.setLater(DefaultAddressTTL+500*time.Millisecond, "c:1", nil)
		expire(t, p, w.call())
		synctest.Wait()
		equal(t, "addresses at once", hosts(p), "b:1")
		time.Sleep(time.Second)
		equal(t, "addresses once the new one listens", hosts(p), "b:1 c:1")
	})
}

func TestAFailedRefreshKeepsTheAddressAndIsTriedAgainASecondLater(t *testing.T) {
	for name, err := range map[string]error{"down": errDown, "definite": errDefinite} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().always("a:1")
				var failed atomic.Int32
				p := New(Options{Dial: w.dial, Events: Events{Failed: func(*fn, error) { failed.Add(1) }}})
				defer p.Close()
				get(t, p, w.call()).Release()
				w.fails(err)
				expire(t, p, w.call())
				for range 500 { // 5 s
					l := get(t, p, w.call())
					equal(t, "cached", l.Cached, true)
					l.Release()
					time.Sleep(10 * time.Millisecond)
				}
				between(t, "refreshes in 5 s", w.called()-1, 4, 6)
				equal(t, "told to Failed", int(failed.Load()), w.called()-1)
			})
		})
	}
}

func TestARefreshWhoseAddressNeverListensIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		w.always("b:1").set("b:1", refused)
		expire(t, p, w.call())
		time.Sleep(DefaultColdStartTimeout + time.Millisecond)
		equal(t, "addresses", hosts(p), "a:1")
		dials := w.dialed("b:1")
		time.Sleep(time.Second)
		equal(t, "dials afterwards", w.dialed("b:1")-dials, 0)
		get(t, p, w.call()).Release()
		synctest.Wait()
		equal(t, "executor calls with the next try", w.called(), 3)
	})
}

func TestAFunctionThatIsGoneLosesItsAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		held := get(t, p, c)
		time.Sleep(DefaultAddressTTL)
		w.fails(errMissing)
		got := <-start(t.Context(), p, c) // waits for a place, and begins the refresh
		equal(t, "a request that waited", got.err, error(errMissing))
		_, err := p.Acquire(t.Context(), c)
		equal(t, "a request a moment later", err, error(errMissing))
		equal(t, "executor calls", w.called(), 2)
		equal(t, "addresses", hosts(p), "")
		n, _ := p.Use(c.Function.Key(), "a:1")
		equal(t, "requests still on the address", n, 1)
		held.Release()
		empty(t, p)
	})
}

func TestAnAddressThatDiesDuringItsRefreshIsReplacedByAFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		w.script(func(ctx context.Context, call int) ([]string, error) {
			sleep(ctx, time.Second)
			if call == 2 {
				return []string{"late:1"}, nil
			}
			return []string{"b:1"}, nil
		})
		expire(t, p, w.call())
		synctest.Wait()
		p.Invalidate(hello.Key(), "a:1")
		l := get(t, p, w.call())
		equal(t, "address", l.Address(), "b:1")
		time.Sleep(time.Minute)
		equal(t, "addresses", hosts(p), "b:1")
	})
}

func TestForgettingEndsARefresh(t *testing.T) {
	for name, c := range map[string]struct {
		delay time.Duration // of the executor's answer
		state error
		kept  bool
	}{
		"during the call":                {time.Second, nil, false},
		"during the dials":               {0, refused, false},
		"while slower addresses come up": {0, refused, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().always("a:1")
				p := w.pool(t)
				get(t, p, w.call()).Release()
				answer := []string{"b:1"}
				if c.kept {
					answer = []string{"a:1", "b:1"}
				}
				w.script(func(context.Context, int) ([]string, error) {
					time.Sleep(c.delay) // deaf to its context
					return answer, nil
				}).set("b:1", c.state)
				expire(t, p, w.call())
				synctest.Wait()
				equal(t, "forgotten", p.Forget(hello.Ref), 1)
				w.set("b:1", nil)
				time.Sleep(10 * time.Second)
				equal(t, "addresses", hosts(p), "")
				equal(t, "connections open", w.open(), 0)
			})
		})
	}
}

func TestARefreshCanBeAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		p.Refresh(hello.Key()) // of nothing: nothing happens
		get(t, p, w.call()).Release()
		p.Refresh(hello.Key())
		synctest.Wait()
		equal(t, "executor calls without a request", w.called(), 1)
		l := get(t, p, w.call())
		equal(t, "cached", l.Cached, true)
		l.Release()
		synctest.Wait()
		equal(t, "executor calls after the request", w.called(), 2)
	})
}

func TestAnAddressUnusedForVeryLongIsNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		w.always("b:1")
		// The sweep would drop it as well; this is the request that comes first.
		e := p.known(hello.Key())
		e.mu.Lock()
		e.lastUsed = e.lastUsed.Add(-11 * DefaultAddressTTL)
		e.expires = time.Time{}
		e.mu.Unlock()
		l := get(t, p, w.call())
		equal(t, "address", l.Address(), "b:1")
		equal(t, "cached", l.Cached, false)
	})
}

func TestAnInvalidatedAddressIsReplacedWhileTheOthersServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1")
		p := w.pool(t)
		get(t, p, w.call()).Release()
		synctest.Wait()
		w.always("b:1", "c:1")
		p.Invalidate(hello.Key(), "a:1")
		l := get(t, p, w.call())
		equal(t, "address", l.Address(), "b:1")
		l.Release()
		synctest.Wait()
		equal(t, "addresses", hosts(p), "b:1 c:1")
		for range 100 { // one that is found to listen and does not serve
			p.Invalidate(hello.Key(), "c:1")
			get(t, p, w.call()).Release()
			time.Sleep(20 * time.Millisecond)
		}
		between(t, "executor calls in 2 s", w.called(), 3, 5)
	})
}
