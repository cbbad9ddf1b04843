package endpoint

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// scaler is a world whose executor can be asked for more addresses.
type scaler struct {
	*world
	grow  func(ctx context.Context, ready, busy int) (string, error)
	grown int
}

func (s *scaler) EnsureCapacity(ctx context.Context, _ *function.Function, ready, busy int) (string, error) {
	s.mu.Lock()
	s.grown++
	s.mu.Unlock()
	return s.grow(ctx, ready, busy)
}

func (s *scaler) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grown
}

func (s *scaler) limited(n int) *Call { return &Call{Function: limited(n), Executor: s} }

func TestCapacityIsAskedForOneAddressAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scaler{world: newWorld().always("a:1")}
		s.grow = func(ctx context.Context, ready, busy int) (string, error) {
			equal(t, "ready", ready, s.asked())
			equal(t, "busy", busy, s.asked())
			sleep(ctx, 100*time.Millisecond)
			return fmt.Sprintf("extra%d:1", ready), nil
		}
		s.set("extra2:1", refused)
		s.setLater(time.Second, "extra2:1", nil)
		p := s.pool(t)
		get(t, p, s.limited(1))
		var waiting []<-chan acquired
		for range 3 {
			waiting = append(waiting, start(t.Context(), p, s.limited(1)))
			synctest.Wait()
		}
		for i, want := range []time.Duration{100 * time.Millisecond, time.Second, 1100 * time.Millisecond} {
			got := <-waiting[i]
			if got.err != nil {
				t.Fatalf("request %d: got %v", i, got.err)
			}
			equal(t, "address", got.lease.Address(), fmt.Sprintf("extra%d:1", i+1))
			equal(t, "cold", got.lease.Cold, true)
			between(t, "waited", got.took, want, want+50*time.Millisecond)
		}
		time.Sleep(time.Minute)
		equal(t, "calls for capacity", s.asked(), 3)
		equal(t, "calls for an address", s.called(), 1)
	})
}

func TestCapacityThatIsNotThereIsAskedForOnceASecond(t *testing.T) {
	for name, grow := range map[string]func(context.Context, int, int) (string, error){
		"the executor's limit":     func(context.Context, int, int) (string, error) { return "", errDefinite },
		"an address that is known": func(context.Context, int, int) (string, error) { return "a:1", nil },
		"no address":               func(context.Context, int, int) (string, error) { return "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scaler{world: newWorld().always("a:1"), grow: grow}
				p := s.pool(t)
				held := get(t, p, s.limited(1))
				waiting := start(t.Context(), p, s.limited(1))
				time.Sleep(10 * time.Second)
				between(t, "calls in 10 s", s.asked(), 10, 11)
				for range 50 { // others that come and leave do not hurry it
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					<-start(ctx, p, s.limited(1))
					cancel()
				}
				held.Release()
				(<-waiting).lease.Release()
				calls := s.asked()
				time.Sleep(10 * time.Second)
				equal(t, "calls once nobody waits", s.asked()-calls, 0)

				held = get(t, p, s.limited(1))
				for range 50 { // nor do those that come and leave alone
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
					<-start(ctx, p, s.limited(1))
					cancel()
				}
				equal(t, "calls in half a second", s.asked()-calls, 1)
				held.Release()
				empty(t, p)
			})
		})
	}
}

func TestAnExecutorThatCannotScaleIsAskedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scaler{world: newWorld().always("a:1"), grow: func(context.Context, int, int) (string, error) {
			return "", fmt.Errorf("an old executor: %w", errors.ErrUnsupported)
		}}
		p := s.pool(t)
		get(t, p, s.limited(1))
		for range 3 {
			got := <-start(t.Context(), p, s.limited(1))
			if !errors.Is(got.err, ErrConcurrencyLimit) {
				t.Errorf("got %v, want %v", got.err, ErrConcurrencyLimit)
			}
		}
		// Three waits of half a minute: the third begins as the first minute ends.
		equal(t, "calls for capacity", s.asked(), 2)
		equal(t, "errors counted", p.Snapshot()[0].ExecutorErrors, 0)
	})
}

func TestCapacityThatDoesNotListenIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scaler{world: newWorld().always("a:1").set("b:1", refused)}
		s.grow = func(context.Context, int, int) (string, error) { return "b:1", nil }
		p := s.pool(t)
		c := s.limited(1)
		c.Settings = &Settings{ColdStartTimeout: 5 * time.Second}
		get(t, p, c)
		longer := s.limited(1)
		longer.Settings = &Settings{ColdStartTimeout: time.Minute}
		start(t.Context(), p, c)
		synctest.Wait()
		waiting := start(t.Context(), p, longer)
		time.Sleep(20 * time.Second)
		between(t, "calls in 20 s", s.asked(), 3, 4)
		s.set("b:1", nil)
		got := <-waiting
		equal(t, "address", got.lease.Address(), "b:1")
	})
}

func TestCapacityThatComesTooLateIsNotKept(t *testing.T) {
	for name, deaf := range map[string]bool{"during the dials": false, "during a call deaf to its context": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scaler{world: newWorld().always("a:1").set("b:1", refused)}
				s.grow = func(context.Context, int, int) (string, error) {
					if deaf {
						time.Sleep(3 * time.Second)
					}
					return "b:1", nil
				}
				p := s.pool(t)
				get(t, p, s.limited(1))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				<-start(ctx, p, s.limited(1))
				s.set("b:1", nil)
				time.Sleep(10 * time.Second)
				equal(t, "addresses", hosts(p), "a:1")
				equal(t, "connections open", s.open(), 0)
			})
		})
	}
}

func TestExtraAddressesOutliveRefreshesWhileTheyAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scaler{world: newWorld().always("a:1")}
		s.grow = func(context.Context, int, int) (string, error) { return "b:1", nil }
		p := s.pool(t)
		first, second := get(t, p, s.limited(1)), get(t, p, s.limited(1))
		equal(t, "addresses", hosts(p), "a:1 b:1")
		first.Release()
		for range 3 {
			time.Sleep(DefaultAddressTTL)
			get(t, p, s.limited(1)).Release()
			synctest.Wait()
			equal(t, "addresses while both are used", hosts(p), "a:1 b:1")
		}
		second.Release()
		for range 2 { // requests in turn: one of these two is on a:1
			time.Sleep(DefaultAddressTTL)
			get(t, p, s.limited(1)).Release()
			synctest.Wait()
		}
		equal(t, "addresses after a lifetime unused", hosts(p), "a:1")
	})
}
