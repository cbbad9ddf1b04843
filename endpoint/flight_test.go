package endpoint

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATemporaryErrorIsRetriedOnTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().script(func(_ context.Context, call int) ([]string, error) {
			if call < 4 {
				return nil, errDown
			}
			return []string{"a:1"}, nil
		})
		p := w.pool(t)
		c := w.call()
		c.Settings = quick()
		l := get(t, p, c)
		equal(t, "waited", l.Waited, 350*time.Millisecond) // 50 + 100 + 200
		s := p.Snapshot()[0]
		equal(t, "calls counted", s.ExecutorCalls, 4)
		equal(t, "errors counted", s.ExecutorErrors, 3)
		equal(t, "cold starts counted", s.ColdStarts, 1)
		equal(t, "last error", s.LastError, error(errDown))
	})
}

func TestADefiniteErrorIsToldToAllAndRememberedForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().script(func(ctx context.Context, _ int) ([]string, error) {
			sleep(ctx, time.Second)
			return nil, errDefinite
		})
		var failed []error
		p := New(Options{Dial: w.dial, Events: Events{Failed: func(_ *fn, err error) { failed = append(failed, err) }}})
		defer p.Close()
		var all []<-chan acquired
		for range 20 {
			all = append(all, start(t.Context(), p, w.call()))
		}
		for _, ch := range all {
			got := <-ch
			equal(t, "error", got.err, errDefinite)
			equal(t, "told after", got.took, time.Second)
		}
		equal(t, "executor calls", w.called(), 1)
		time.Sleep(790 * time.Millisecond)
		got := <-start(t.Context(), p, w.call())
		equal(t, "error a moment later", got.err, errDefinite)
		equal(t, "told a moment later after", got.took, 0)
		equal(t, "executor calls a moment later", w.called(), 1)
		time.Sleep(220 * time.Millisecond)
		w.always("a:1")
		if got := <-start(t.Context(), p, w.call()); got.err != nil {
			t.Errorf("after the memory: got %v, want an address", got.err)
		}
		equal(t, "executor calls after the memory", w.called(), 2)
		equal(t, "told to Failed", len(failed), 1)
	})
}

func TestAnExecutorThatIsDownIsCalledOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().fails(errDown)
		p := w.pool(t)
		c := w.call()
		c.Settings = quick()
		got := <-start(t.Context(), p, c)
		equal(t, "error", got.err, error(errDown))
		between(t, "the first flight retried for", got.took, 4*time.Second, 6*time.Second)
		equal(t, "calls of the first flight", w.called(), 10)

		for range 1000 { // 10 s of 100 requests a second
			got := <-start(t.Context(), p, c)
			equal(t, "error", got.err, error(errDown))
			equal(t, "told after", got.took, 0)
			time.Sleep(10 * time.Millisecond)
		}
		between(t, "calls in 10 s", w.called()-10, 9, 13)

		w.always("a:1")
		back := time.Now()
		for {
			l, err := p.Acquire(t.Context(), c)
			if err == nil {
				l.Release()
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		between(t, "recovered after", time.Since(back), 0, time.Second)

		// A success earns the ramp back.
		p.Invalidate(hello.Key(), "a:1")
		w.fails(errDown)
		before := w.called()
		<-start(t.Context(), p, c)
		equal(t, "calls of the next outage's first flight", w.called()-before, 10)
	})
}

func TestAbandonedFlightsDoNotStartTheRampAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().fails(errDown)
		p := w.pool(t)
		c := w.call()
		c.Settings = quick()
		for range 100 { // clients that stay for 20 ms each, over 3 s
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			got := <-start(ctx, p, c)
			equal(t, "error", got.err, context.DeadlineExceeded)
			cancel()
			time.Sleep(10 * time.Millisecond)
		}
		between(t, "calls in 3 s", w.called(), 5, 8) // at 0, 50, 150, 350, 750, 1550, 2550 ms
		w.always("a:1")
		get(t, p, c)
	})
}

func TestAFlightGivesUpWithTheExecutorsErrorRatherThanLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().fails(errDown)
		p := w.pool(t)
		c := w.call()
		c.Settings = quick()
		c.Settings.ColdStartTimeout = 300 * time.Millisecond
		got := <-start(t.Context(), p, c)
		equal(t, "error", got.err, error(errDown))
		equal(t, "told after", got.took, 150*time.Millisecond) // 50 + 100, the next would be at 350
	})
}

func TestColdStartTimeout(t *testing.T) {
	silent := func(ctx context.Context, _ int) ([]string, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, c := range map[string]struct {
		answer func(context.Context, int) ([]string, error)
		part   string // of the error's text
	}{
		"the executor says nothing": {silent, "in time"},
		"the executor does not stop for its context": {func(context.Context, int) ([]string, error) {
			time.Sleep(time.Minute)
			return []string{"a:1"}, nil
		}, "in time"},
		"the executor fails, then says nothing": {func(ctx context.Context, call int) ([]string, error) {
			if call == 1 {
				return nil, errDown
			}
			return silent(ctx, call)
		}, "last error: executor error"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().script(c.answer)
				p := w.pool(t)
				first := start(t.Context(), p, w.call())
				time.Sleep(10 * time.Second)
				second := start(t.Context(), p, w.call())
				for _, ch := range []<-chan acquired{first, second} {
					got := <-ch
					if !errors.Is(got.err, ErrColdStartTimeout) || !strings.Contains(got.err.Error(), c.part) {
						t.Errorf("got %v, want %v with %q", got.err, ErrColdStartTimeout, c.part)
					}
				}
				between(t, "told after", time.Since(w.began), DefaultColdStartTimeout, DefaultColdStartTimeout+slack)
				empty(t, p)
				// It is not remembered: the function may be about to start.
				w.always("a:1")
				get(t, p, w.call())
			})
		})
	}
}

func TestAnAnswerWithoutAnAddressIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always()
		p := w.pool(t)
		_, err := p.Acquire(t.Context(), w.call())
		equal(t, "error", err, ErrNoAddress)
	})
}

func TestAnAddressIsDialledUntilItListens(t *testing.T) {
	for name, c := range map[string]struct {
		opens       time.Duration
		down        error
		late        time.Duration // how much later the request may get it
		calls, most int
	}{
		"at once":                      {0, refused, 0, 1, 1},
		"after 3 ms":                   {3 * time.Millisecond, refused, 5 * time.Millisecond, 1, 1},
		"after a tenth of a second":    {100 * time.Millisecond, refused, 50 * time.Millisecond, 2, 3},
		"after 20 s of refusals":       {20 * time.Second, refused, 50 * time.Millisecond, 20, 26},
		"after three time-outs":        {300 * time.Millisecond, hangs, 150 * time.Millisecond, 1, 1},
		"after 20 s of time-outs":      {20 * time.Second, hangs, 900 * time.Millisecond, 18, 26},
		"after errors of another sort": {time.Second, errDefinite, 50 * time.Millisecond, 5, 7},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().always("a:1").set("a:1", c.down)
				if c.opens == 0 {
					w.set("a:1", nil)
				} else {
					w.setLater(c.opens, "a:1", nil)
				}
				p := w.pool(t)
				call := w.call()
				call.Settings = quick()
				l := get(t, p, call)
				between(t, "waited", l.Waited, c.opens, c.opens+c.late)
				between(t, "executor calls", w.called(), c.calls, c.most)
				equal(t, "start", l.Start, 0)
				equal(t, "dial", l.Dial, l.Waited)
			})
		})
	}
}

func TestAnAddressThatNeverListensIsGivenUpByName(t *testing.T) {
	for name, c := range map[string]struct {
		state   error
		timeout bool
		text    string
	}{
		"refused":                 {refused, false, "address a:1 does not listen: dial: connection refused"},
		"timed out":               {hangs, true, "address a:1 does not listen: dial: context deadline exceeded"},
		"a dial longer than that": {hangs, true, "address a:1 does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().always("a:1").set("a:1", c.state)
				p := w.pool(t)
				call := w.call()
				if strings.HasSuffix(c.text, "answer") {
					call.Settings = &Settings{DialTimeout: func(int) time.Duration { return time.Hour }}
				}
				got := <-start(t.Context(), p, call)
				e, ok := errors.AsType[*AddressError](got.err)
				if !ok {
					t.Fatalf("got %v, want an *AddressError", got.err)
				}
				equal(t, "address", e.Addr, "a:1")
				equal(t, "timeout", e.Timeout, c.timeout)
				equal(t, "text", e.Error(), c.text)
				between(t, "told after", got.took, DefaultColdStartTimeout, DefaultColdStartTimeout+slack)
				if !c.timeout && !errors.Is(e, refused.Err) {
					t.Errorf("%v does not wrap the dial's error", e)
				}
			})
		})
	}
}

func TestAnotherAnswerReplacesAnAddressThatDoesNotListen(t *testing.T) {
	for name, state := range map[string]error{"refused": refused, "timed out": hangs} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().set("a:1", state).script(func(_ context.Context, call int) ([]string, error) {
					switch {
					case call < 3:
						return []string{"a:1"}, nil
					case call == 3:
						return nil, errDefinite // matters less than the dial
					}
					return []string{"b:1", "c:1"}, nil
				}).set("c:1", state)
				w.set("b:1", state)
				w.setLater(5*time.Second, "b:1", nil)
				var changed []string
				p := New(Options{Dial: w.dial, Events: Events{Changed: func(_ *fn, old, new []string) {
					changed = append(changed, strings.Join(old, ",")+">"+strings.Join(new, ","))
				}}})
				defer p.Close()
				call := w.call()
				call.Settings = quick()
				l := get(t, p, call)
				equal(t, "address", l.Address(), "b:1")
				if want := []string{"a:1>b:1,c:1"}; !slices.Equal(changed, want) {
					t.Errorf("told to Changed: got %q, want %q", changed, want)
				}
				dials := w.dialed("a:1")
				time.Sleep(10 * time.Second)
				equal(t, "dials of the first address afterwards", w.dialed("a:1")-dials, 0)
				addresses, _ := p.Totals()
				equal(t, "addresses", addresses, 1) // c:1 did not come up within the grace
			})
		})
	}
}

func TestAFunctionThatIsGoneEndsTheDialling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().set("a:1", refused).script(func(_ context.Context, call int) ([]string, error) {
			if call == 1 {
				return []string{"a:1"}, nil
			}
			return nil, errMissing
		})
		p := w.pool(t)
		call := w.call()
		call.Settings = quick()
		got := <-start(t.Context(), p, call)
		equal(t, "error", got.err, error(errMissing))
		equal(t, "told after", got.took, 50*time.Millisecond)
	})
}

func TestTheFirstOfSeveralAddressesLetsTheRequestsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1", "c:1", "d:1")
		w.set("a:1", hangs).set("b:1", refused).set("d:1", refused)
		w.setLater(500*time.Millisecond, "b:1", nil)
		w.setLater(1500*time.Millisecond, "d:1", nil)
		p := w.pool(t)
		l := get(t, p, w.call())
		equal(t, "address", l.Address(), "c:1")
		equal(t, "waited", l.Waited, 0)
		time.Sleep(900 * time.Millisecond)
		addresses, _ := p.Totals()
		equal(t, "addresses within the grace", addresses, 2)
		time.Sleep(10 * time.Second)
		addresses, _ = p.Totals()
		equal(t, "addresses afterwards", addresses, 2)
		equal(t, "connections open", w.open(), 0)
	})
}

func TestForgettingEndsTheGraceOfSlowerAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1").set("b:1", refused)
		w.setLater(500*time.Millisecond, "b:1", nil)
		p := w.pool(t)
		get(t, p, w.call()).Release()
		equal(t, "forgotten", p.Forget(hello.Ref), 1)
		time.Sleep(time.Second)
		addresses, _ := p.Totals()
		equal(t, "addresses", addresses, 0)
		equal(t, "connections open", w.open(), 0)
	})
}
