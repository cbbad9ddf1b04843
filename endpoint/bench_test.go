package endpoint

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

func warm(b *testing.B, functions int) (*Pool, []*Call) {
	w := newWorld().always("10.0.0.1:8888")
	p := w.pool(b)
	calls := make([]*Call, functions)
	for i := range calls {
		calls[i] = named(w, fmt.Sprint("function-", i))
		l, err := p.Acquire(b.Context(), calls[i])
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
	b.ReportAllocs()
	return p, calls
}

// What a request to a warm function costs: Acquire, Responding, Release.
func BenchmarkWarm(b *testing.B) {
	for _, functions := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("functions=%d", functions), func(b *testing.B) {
			p, calls := warm(b, functions)
			ctx := context.Background()
			i := 0
			for b.Loop() {
				l, err := p.Acquire(ctx, &Call{Function: calls[i].Function, Executor: calls[i].Executor})
				if err != nil {
					b.Fatal(err)
				}
				l.Responding()
				l.Release()
				if i++; i == functions {
					i = 0
				}
			}
		})
	}
}

// Acquire and Release alone.
func BenchmarkWarmAcquire(b *testing.B) {
	p, calls := warm(b, 1)
	ctx := context.Background()
	for b.Loop() {
		l, err := p.Acquire(ctx, calls[0])
		if err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}

// All cores on one function, the worst case of its mutex.
func BenchmarkWarmParallel(b *testing.B) {
	p, calls := warm(b, 1)
	b.RunParallel(func(pb *testing.PB) {
		ctx := context.Background()
		for pb.Next() {
			l, err := p.Acquire(ctx, calls[0])
			if err != nil {
				b.Error(err)
				return
			}
			l.Release()
		}
	})
}

// A whole cold start, without the time that executor and function take.
func BenchmarkCold(b *testing.B) {
	p, calls := warm(b, 1)
	for b.Loop() {
		l, err := p.Acquire(b.Context(), calls[0])
		if err != nil {
			b.Fatal(err)
		}
		l.Invalidate(errDefinite)
		l.Release()
	}
}

func TestAWarmRequestAllocatesItsLeaseAndNothingElse(t *testing.T) {
	w := newWorld().always("a:1")
	p := w.pool(t)
	get(t, p, w.call()).Release()
	allocs := testing.AllocsPerRun(100, func() {
		l, err := p.Acquire(t.Context(), &Call{Function: hello, Executor: w})
		if err != nil {
			t.Fatal(err)
		}
		l.Responding()
		l.Release()
	})
	if allocs > 1 {
		t.Errorf("allocations: got %v, want at most 1", allocs)
	}
}

// What a waiting request costs here, beside its goroutine: measured with
// waiters that have none. The request's own memory is not in it.
func TestMemoryOfAWaitingRequestIsSmall(t *testing.T) {
	w := newWorld().after(time.Hour, "a:1")
	p := w.pool(t)
	const n = 10_000
	e := p.entry(hello)
	call := w.call()
	ctx := t.Context()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	type waiting struct {
		w *waiter
		t *time.Timer
	}
	list := make([]waiting, 0, n)
	for range n {
		_, w, err := e.acquire(ctx, call, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, waiting{w, time.NewTimer(time.Hour)})
	}
	each := (heap() - before) / n
	t.Logf("%d bytes a waiting request", each)
	if each > 1024 {
		t.Errorf("a waiting request takes %d bytes, want at most 1024", each)
	}
	for _, x := range list {
		x.t.Stop()
		x.w.leave()
	}
	empty(t, p)
}
