package endpoint

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// orphan returns a flight that the function's entry does not point at, as one
// that was abandoned or overtaken.
func orphan(p *Pool, w *world) *flight {
	e := p.entry(hello)
	e.fn = hello
	call := w.call()
	f := &flight{e: e, call: call.from(context.Background()), probes: make(map[string]*probe), dials: make(chan dialed)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Whatever a flight comes to once it is not its function's any more, it
// changes nothing and leaves no connection open.
func TestWhatComesTooLateChangesNothing(t *testing.T) {
	for name, late := range map[string]func(*flight, dialed){
		"an address": func(f *flight, d dialed) {
			if f.land(d) {
				t.Error("land: got true, want false")
			}
		},
		"one address more":       func(f *flight, d dialed) { f.add(d, true, func() bool { return f.e.scaling == f }) },
		"a refreshed address":    func(f *flight, d dialed) { f.swap(d, []string{d.addr}) },
		"a probe called off":     func(f *flight, d dialed) { f.listening(d) },
		"an error":               func(f *flight, d dialed) { d.close(); f.failed(errDefinite) },
		"an error of a refresh":  func(f *flight, d dialed) { d.close(); f.notRenewed(errMissing) },
		"the end of its grace":   func(f *flight, d dialed) { d.close(); f.endTail() },
		"a result nobody awaits": func(f *flight, d dialed) { f.cancel(); f.tell(f.ctx, d) },
		"the answer to a refresh": func(f *flight, d dialed) {
			d.close()
			if fresh, kept := f.compare([]string{"b:1"}); len(fresh) > 0 || !kept {
				t.Errorf("compare: got %v to dial", fresh)
			}
		},
		"a retry": func(f *flight, d dialed) {
			d.close()
			if delay := f.climb(quick().Backoff()); delay >= 0 {
				t.Errorf("climb: got a delay of %v, want none", delay)
			}
		},
		"a wish for capacity": func(f *flight, d dialed) {
			d.close()
			if _, _, _, wanted := f.shortage(); wanted {
				t.Error("shortage: got wanted, want not")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				failed := 0
				p := New(Options{Dial: w.dial, Events: Events{Failed: func(*fn, error) { failed++ }}})
				defer p.Close()
				f := orphan(p, w)
				current := orphan(p, w)
				f.e.flight, f.e.refresh, f.e.tail, f.e.scaling = current, current, current, current
				conn, _ := w.dial(t.Context(), "a:1")
				late(f, dialed{&probe{addr: "a:1", since: time.Now()}, conn, false})
				equal(t, "connections open", w.open(), 0)
				equal(t, "addresses", hosts(p), "")
				equal(t, "told to Failed", failed, 0)
				e := f.e
				equal(t, "the current flights stay", e.flight == current && e.refresh == current && e.tail == current && e.scaling == current, true)
				equal(t, "a failure is remembered", e.failure, nil)
			})
		})
	}
}

func TestARefreshTakesOverFromTheGraceOfSlowerAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1").set("b:1", refused)
		w.setLater(1500*time.Millisecond, "b:1", nil)
		p := w.pool(t)
		get(t, p, w.call()).Release()
		time.Sleep(900 * time.Millisecond)
		p.Refresh(hello.Key())
		get(t, p, w.call()).Release()
		time.Sleep(time.Second)
		equal(t, "addresses", hosts(p), "a:1 b:1") // within the refresh's own grace
	})
}

func TestARequestWhoseTimeEndsDuringAFlightIsToldWhatTheFlightKnows(t *testing.T) {
	for name, c := range map[string]struct {
		answer []string
		check  func(error) bool
	}{
		"no answer yet": {nil, func(err error) bool { return err == ErrColdStartTimeout }},
		"an address that does not listen": {[]string{"b:1"}, func(err error) bool {
			e, ok := errors.AsType[*AddressError](err)
			return ok && e.Addr == "b:1" && !e.Timeout
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().always("a:1").set("b:1", refused)
				p := w.pool(t)
				call := w.call()
				call.Function = limited(1)
				held := get(t, p, call)
				waiting := start(t.Context(), p, call)
				time.Sleep(20 * time.Second) // for a place
				w.script(func(ctx context.Context, _ int) ([]string, error) {
					if c.answer == nil {
						<-ctx.Done()
					}
					return c.answer, ctx.Err()
				})
				held.Invalidate(errDefinite)
				got := <-waiting
				if !c.check(got.err) {
					t.Errorf("got %v", got.err)
				}
				equal(t, "told after", got.took, DefaultColdStartTimeout+slack)
				held.Release()
				empty(t, p)
			})
		})
	}
}

func TestARequestLetGoAtTheLastMomentIsServed(t *testing.T) {
	w := newWorld().always("a:1")
	p := w.pool(t)
	call := w.call()
	call.Function = limited(1)
	held := get(t, p, call)
	_, waiting, err := held.address.entry.acquire(t.Context(), call, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	held.Release()
	equal(t, "overdue", waiting.overdue(), nil)
	waiting.leave()
	empty(t, p)
}

func TestCapacityThatComesDuringAFlightOutlivesItsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scaler{world: newWorld().always("a:1")}
		s.grow = func(ctx context.Context, ready, _ int) (string, error) {
			if ready > 1 || s.asked() > 1 {
				return "", errDefinite
			}
			sleep(ctx, 2*time.Second)
			return "b:1", nil
		}
		p := s.pool(t)
		held := get(t, p, s.limited(1))
		first := start(t.Context(), p, s.limited(1))
		synctest.Wait()
		second := start(t.Context(), p, s.limited(1))
		synctest.Wait()
		s.script(func(ctx context.Context, _ int) ([]string, error) {
			sleep(ctx, 3*time.Second)
			return nil, errDefinite
		})
		held.Invalidate(errDefinite)
		held.Release()
		got := <-first
		equal(t, "the first one's address", got.lease.Address(), "b:1")
		time.Sleep(2 * time.Second) // the flight has failed
		got.lease.Release()
		if got := <-second; got.err != nil {
			t.Errorf("the second one: got %v, want the place that came free", got.err)
		}
	})
}

func TestSettingsAreObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1").set("a:1", hangs)
		w.setLater(time.Second, "a:1", nil)
		p := w.pool(t)
		call := w.call()
		call.Settings = quick()
		call.Settings.AddressTTL = 5 * time.Second
		call.Settings.AddressAttempts = 1
		l := get(t, p, call)
		l.Release()
		between(t, "calls with one time-out an address", w.called(), 4, 8)
		before := w.called()
		time.Sleep(5 * time.Second)
		get(t, p, call).Release()
		synctest.Wait()
		equal(t, "calls after a short lifetime", w.called()-before, 1)
	})
}

func TestManyProbesShareABudgetOfDials(t *testing.T) {
	for functions, want := range map[int][2]int{ // dials in a second
		1:   {60, 70},
		20:  {20 * 60, 20 * 70},
		100: {3000, 4200},
		400: {400 * 20, 400 * 21}, // every 50 ms, however many
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld().always("a:1").set("a:1", refused)
			p := w.pool(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for i := range functions {
				start(ctx, p, named(w, fmt.Sprint("f", i)))
			}
			time.Sleep(2 * time.Second)
			between(t, fmt.Sprint("dials for ", functions, " functions"), w.dialed("a:1"), want[0], want[1])
		})
	}
}
