package endpoint

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestNoMoreRequestsAtOnceThanTheLimitAndInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(2)
		first, second := get(t, p, c), get(t, p, c)
		var order []int
		done := make(chan int)
		for i := range 10 {
			go func() {
				l, err := p.Acquire(t.Context(), c)
				if err != nil {
					t.Errorf("request %d: got %v", i, err)
				} else {
					equal(t, "cold", l.Cold, false)
					equal(t, "cached", l.Cached, false)
					order = append(order, i) // one at a time by the limit below
					time.Sleep(time.Second)
					l.Release()
				}
				done <- i
			}()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		first.Release()
		first.Release() // counts once
		for range 10 {
			<-done
		}
		second.Release()
		equal(t, "order", fmt.Sprint(order), "[0 1 2 3 4 5 6 7 8 9]")
		equal(t, "all took", time.Since(w.began), 11*time.Second)
		empty(t, p)
	})
}

func TestANewcomerDoesNotOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		held := get(t, p, c)
		waiting := start(t.Context(), p, c)
		synctest.Wait()
		held.Release()
		newcomer := start(t.Context(), p, c)
		got := <-waiting
		synctest.Wait()
		select {
		case <-newcomer:
			t.Error("the newcomer got the place of the one who waited")
		default:
		}
		got.lease.Release()
		(<-newcomer).lease.Release()
	})
}

func TestARequestThatLeavesTheQueueIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		held := get(t, p, c)
		var leave [3]context.CancelFunc
		var chans [3]<-chan acquired
		for i := range chans {
			var ctx context.Context
			ctx, leave[i] = context.WithCancel(t.Context())
			chans[i] = start(ctx, p, c)
			synctest.Wait()
		}
		leave[1]()
		equal(t, "the middle one's error", (<-chans[1]).err, context.Canceled)
		leave[0]()
		equal(t, "the first one's error", (<-chans[0]).err, context.Canceled)
		held.Release()
		(<-chans[2]).lease.Release()
		leave[2]()
		empty(t, p)
	})
}

func TestAPlaceGrantedToOneWhoLeavesGoesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		held := get(t, p, c)
		ctx, cancel := context.WithCancel(t.Context())
		slow := *c
		slow.OnWait = func() { // is let go and leaves before it looks
			time.Sleep(time.Second)
			cancel()
		}
		for range 20 { // which of the two it sees first is up to chance
			first := start(ctx, p, &slow)
			synctest.Wait()
			second := start(t.Context(), p, c)
			synctest.Wait()
			held.Release()
			if got := <-first; got.err == nil {
				got.lease.Release()
			}
			held = (<-second).lease
			ctx, cancel = context.WithCancel(t.Context())
		}
		cancel()
		held.Release()
		empty(t, p)
	})
}

func TestWaitingTooLongForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		get(t, p, c)
		got := <-start(t.Context(), p, c)
		busy, ok := errors.AsType[*BusyError](got.err)
		if !ok || !errors.Is(got.err, ErrConcurrencyLimit) {
			t.Fatalf("got %v, want a *BusyError with %v", got.err, ErrConcurrencyLimit)
		}
		equal(t, "retry after", busy.RetryAfter, time.Second)
		between(t, "told after", got.took, DefaultColdStartTimeout, DefaultColdStartTimeout+slack)
		equal(t, "executor calls", w.called(), 1)
	})
}

func TestAHigherLimitLetsThoseInWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		get(t, p, c)
		waiting := start(t.Context(), p, c)
		synctest.Wait()
		raised := w.call()
		raised.Function = limited(3)
		get(t, p, raised)
		if got := <-waiting; got.err != nil || got.took != 0 {
			t.Errorf("got %v after %v, want a place at once", got.err, got.took)
		}
	})
}

func TestAllAddressesHaveTheirOwnLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(2)
		get(t, p, c).Release()
		synctest.Wait()
		for range 4 {
			get(t, p, c)
		}
		for _, a := range p.Snapshot()[0].Addresses {
			equal(t, "requests on "+a.Address, a.InFlight, 2)
		}
		start(t.Context(), p, c)
		synctest.Wait()
		equal(t, "waiting", p.Snapshot()[0].Waiting, 1)
	})
}

func TestADeadAddressIsReplacedForThoseWhoWaitForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(1)
		held := get(t, p, c)
		var waiting []<-chan acquired
		for range 2 {
			waiting = append(waiting, start(t.Context(), p, c))
			synctest.Wait()
		}
		w.after(time.Second, "b:1")
		equal(t, "news", held.Invalidate(errDefinite), true)
		equal(t, "news again", held.Invalidate(errDefinite), false)
		got := <-waiting[0]
		equal(t, "address", got.lease.Address(), "b:1")
		held.Release() // gives no place: its address is gone
		synctest.Wait()
		select {
		case <-waiting[1]:
			t.Error("the release of a dead address let a request in")
		default:
		}
		got.lease.Release()
		(<-waiting[1]).lease.Release()
		empty(t, p)
	})
}

func TestAnAddressThatComesBackStillHasItsOldRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		c := w.call()
		c.Function = limited(2)
		first, second := get(t, p, c), get(t, p, c)
		first.Invalidate(errDefinite) // its dial timed out; the other request runs on
		waiting := start(t.Context(), p, c)
		time.Sleep(time.Second)
		equal(t, "addresses", hosts(p), "a:1")
		s := p.Snapshot()[0]
		equal(t, "requests on the address", s.Addresses[0].InFlight, 2)
		equal(t, "requests in flight", s.InFlight, 2)
		equal(t, "waiting", s.Waiting, 1)
		first.Release()
		if got := <-waiting; got.err != nil || got.took != time.Second {
			t.Errorf("got %v after %v, want the first one's place at once", got.err, got.took)
		}
		n, _ := p.Use(c.Function.Key(), "a:1")
		equal(t, "requests in use", n, 2)
		second.Release()
	})
}
