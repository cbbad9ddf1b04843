package endpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// chaos is an executor and a network in which everything goes wrong at times.
type chaos struct{ next atomic.Int64 }

func (c *chaos) Addresses(ctx context.Context, _ *function.Function) ([]string, error) {
	sleep(ctx, time.Duration(rand.IntN(3))*time.Millisecond)
	switch rand.IntN(20) {
	case 0:
		return nil, errDown
	case 1:
		return nil, errDefinite
	case 2:
		return []string{c.address(), c.address()}, nil
	}
	return []string{c.address()}, ctx.Err()
}

func (c *chaos) EnsureCapacity(ctx context.Context, _ *function.Function, _, _ int) (string, error) {
	sleep(ctx, time.Duration(rand.IntN(3))*time.Millisecond)
	if rand.IntN(2) == 0 {
		return "", errDefinite
	}
	return c.address(), nil
}

// address is one of a few, so that old ones come back.
func (c *chaos) address() string { return fmt.Sprint("a", c.next.Add(1)%5) }

func (c *chaos) dial(ctx context.Context, _ string) (net.Conn, error) {
	if rand.IntN(4) == 0 {
		return nil, refused
	}
	near, far := net.Pipe()
	far.Close()
	return near, ctx.Err()
}

// observed is how many requests each function serves at each address, as the
// requests see it.
type observed struct {
	mu   sync.Mutex
	n    map[string]int
	most int
}

func (o *observed) add(fn *function.Function, l *Lease, d int) {
	at := fn.Name + "@" + l.Address()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n[at] += d
	o.most = max(o.most, o.n[at])
}

// Requests come, leave, fail and succeed at random, with everything else that
// can happen to a pool: the limit holds at all times, and nothing is left.
func TestTheLimitHoldsWhateverHappens(t *testing.T) {
	noLeaks(t)
	const workers, limit, duration = 40, 3, 2 * time.Second
	x := new(chaos)
	p := New(Options{Dial: x.dial})
	defer p.Close()
	settings := &Settings{AddressTTL: 20 * time.Millisecond, ColdStartTimeout: 200 * time.Millisecond}
	loads := observed{n: make(map[string]int)}
	var served, left, failed atomic.Int64
	end := time.Now().Add(duration)

	request := func(fn *function.Function) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(50_000))*time.Microsecond)
		defer cancel()
		l, err := p.Acquire(ctx, &Call{Function: fn, Executor: x, Settings: settings})
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			left.Add(1)
			return
		case err != nil:
			failed.Add(1)
			time.Sleep(time.Millisecond)
			return
		}
		served.Add(1)
		loads.add(fn, l, 1)
		if rand.IntN(2) == 0 {
			l.Responding()
		}
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		if rand.IntN(10) == 0 {
			l.Invalidate(errDefinite)
		}
		if c := p.TakeConn(l.Address()); c != nil {
			c.Close()
		}
		loads.add(fn, l, -1)
		l.Release()
	}
	var wg sync.WaitGroup
	functions := []*function.Function{limited(limit), {Ref: function.Ref{Name: "other"}, Concurrency: limit}}
	for i := range workers {
		wg.Go(func() {
			for time.Now().Before(end) {
				request(functions[i%2])
			}
		})
	}
	wg.Go(func() {
		for time.Now().Before(end) {
			time.Sleep(10 * time.Millisecond)
			switch rand.IntN(5) {
			case 0:
				p.Forget(hello.Ref)
			case 1:
				p.Refresh(hello.Key())
			case 2:
				p.Prune(func(k function.Key) bool { return k.Name == "other" })
			case 3:
				p.Taps(func(*function.Function, Executor, string) {})
			case 4:
				p.sweep()
			}
			p.Snapshot()
		}
	})
	wg.Wait()
	t.Logf("served %d, left %d, failed %d, at most %d at once on one address", served.Load(), left.Load(), failed.Load(), loads.most)
	if loads.most > limit {
		t.Errorf("requests at once on one address: got %d, want at most %d", loads.most, limit)
	}
	if served.Load() == 0 || loads.most < limit {
		t.Errorf("the test did not reach the limit: served %d, at most %d at once", served.Load(), loads.most)
	}
	empty(t, p)
	sum := 0
	for _, s := range p.Snapshot() {
		sum += len(s.Addresses)
	}
	addresses, _ := p.Totals()
	equal(t, "addresses in total", addresses, sum)
}
