package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestTheWaitingRoomHasItsSize(t *testing.T) {
	other := &function.Function{Ref: function.Ref{Namespace: "default", Name: "other"}}
	for name, c := range map[string]struct {
		settings   Settings
		running    time.Duration // how long the flight has lasted
		hello      int           // that get in
		other      int
		retryAfter time.Duration
	}{
		"per function":       {Settings{MaxWaiting: 3}, 0, 3, 3, time.Second},
		"over all":           {Settings{MaxWaitingTotal: 5}, 0, 5, 0, time.Second},
		"both":               {Settings{MaxWaiting: 3, MaxWaitingTotal: 5}, 0, 3, 2, time.Second},
		"of a slow function": {Settings{MaxWaiting: 3}, 7 * time.Second, 3, 3, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().after(10*time.Second, "a:1")
				p := w.pool(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for i, fn := range []*fn{hello, other} {
					want := []int{c.hello, c.other}[i]
					call := w.call()
					call.Function, call.Settings = fn, &c.settings
					for range want {
						start(ctx, p, call)
					}
					synctest.Wait()
				}
				time.Sleep(c.running)
				for _, fn := range []*fn{hello, other} {
					call := w.call()
					call.Function, call.Settings = fn, &c.settings
					call.OnWait = func() { t.Error("OnWait was called for a request that did not get in") }
					got := <-start(t.Context(), p, call)
					busy, ok := errors.AsType[*BusyError](got.err)
					if !ok || !errors.Is(got.err, ErrWaitingRoomFull) {
						t.Fatalf("%s: got %v, want a *BusyError with %v", fn.Name, got.err, ErrWaitingRoomFull)
					}
					equal(t, "retry after", busy.RetryAfter, c.retryAfter)
					equal(t, "text", busy.Error(), ErrWaitingRoomFull.Error())
				}
				_, waiting := p.Totals()
				equal(t, "waiting", waiting, c.hello+c.other)
				cancel()
				synctest.Wait()
				empty(t, p)
			})
		})
	}
}

func TestTenThousandRequestsThatLeaveTakeNothingAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().after(time.Hour, "a:1")
		p := w.pool(t)
		const n = 10_000
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		for range n {
			go func() {
				_, err := p.Acquire(ctx, w.call())
				done <- err
			}()
		}
		synctest.Wait()
		_, waiting := p.Totals()
		equal(t, "waiting", waiting, n)
		_, err := p.Acquire(t.Context(), w.call())
		if !errors.Is(err, ErrWaitingRoomFull) {
			t.Errorf("one more: got %v, want %v", err, ErrWaitingRoomFull)
		}
		cancel()
		for range n {
			equal(t, "error", <-done, context.Canceled)
		}
		empty(t, p)
		equal(t, "executor calls", w.called(), 1)
	})
}

// The queue against a slice that does the same.
func TestTheQueueKeepsOrder(t *testing.T) {
	var q queue
	var model []*waiter
	check := func(step string) {
		t.Helper()
		var forth, back []*waiter
		for w := q.first; w != nil; w = w.next {
			forth = append(forth, w)
		}
		for w := q.last; w != nil; w = w.prev {
			back = append(back, w)
		}
		slices.Reverse(back)
		if !slices.Equal(forth, model) || !slices.Equal(back, model) || q.n != len(model) {
			t.Fatalf("after %s: got %d forth, %d back, n = %d, want %d", step, len(forth), len(back), q.n, len(model))
		}
	}
	for i := range 6 {
		w := new(waiter)
		q.push(w)
		model = append(model, w)
		check(fmt.Sprint("push ", i))
	}
	for _, i := range []int{2, 0, 3, 1, 1, 0} { // middle, first, last, …, only
		q.remove(model[i])
		model = slices.Delete(model, i, i+1)
		check(fmt.Sprint("removal at ", i))
	}
}

func TestRetryAfterIsWholeSecondsWithinReason(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: time.Second, 300 * time.Millisecond: time.Second, 2600 * time.Millisecond: 3 * time.Second, time.Hour: 30 * time.Second,
	} {
		equal(t, "retry after "+d.String(), retryAfter(d), want)
	}
}
