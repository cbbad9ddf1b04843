package kubefaas

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// loudFailures is how many batches in a row have to fail before it is an
// error: one or two are an executor that restarts.
const loudFailures = 3

// longestBatch bounds one batch, and so how long the end of Caddy waits for it.
const longestBatch = 5 * time.Second

// lastTap bounds the batch that is sent on shutdown.
const lastTap = 3 * time.Second

// tapper tells executors which addresses are in use, in batches. It belongs to
// the shared state, so that a reload neither loses nor repeats a tap.
type tapper struct {
	endpoints *endpoint.Pool
	logger    *zap.Logger
	cancel    context.CancelFunc
	wake      chan struct{} // the interval changed
	done      sync.WaitGroup

	mu        sync.Mutex
	intervals map[*App]time.Duration
	latest    *App
	failures  int
}

func newTapper(endpoints *endpoint.Pool, logger *zap.Logger) *tapper {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tapper{
		endpoints: endpoints, logger: logger, cancel: cancel,
		wake: make(chan struct{}, 1), intervals: make(map[*App]time.Duration),
	}
	t.done.Go(func() { t.run(ctx) })
	return t
}

// enter makes a configuration's interval the one in use.
func (t *tapper) enter(a *App, interval time.Duration) {
	t.mu.Lock()
	t.intervals[a], t.latest = interval, a
	t.mu.Unlock()
	t.changed()
}

// leave takes a configuration back; one that is still there goes on.
func (t *tapper) leave(a *App) {
	t.mu.Lock()
	delete(t.intervals, a)
	if t.latest == a {
		t.latest = nil
		for other := range t.intervals {
			t.latest = other
		}
	}
	t.mu.Unlock()
	t.changed()
}

func (t *tapper) changed() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// defaultTapInterval is for the time in which no configuration is in use.
const defaultTapInterval = 5 * time.Second

func (t *tapper) interval() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := t.intervals[t.latest]; d > 0 {
		return d
	}
	return defaultTapInterval
}

func (t *tapper) run(ctx context.Context) {
	last := time.Now()
	timer := time.NewTimer(t.interval())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-timer.C:
			last = time.Now()
			// Not ctx: a batch that is under way when Caddy ends is not lost.
			t.flush(context.WithoutCancel(ctx), min(t.interval(), longestBatch))
		}
		timer.Reset(max(0, time.Until(last.Add(t.interval()))))
	}
}

// stop ends the batches, and sends what the last one did not have.
func (t *tapper) stop() {
	t.cancel()
	t.done.Wait()
	t.flush(context.Background(), lastTap)
}

// flush sends one batch to each executor that wants to know.
func (t *tapper) flush(ctx context.Context, timeout time.Duration) {
	type use struct {
		to   executor.Tapper
		addr string
	}
	batches := make(map[executor.Tapper][]executor.Tap)
	seen := make(map[use]bool)
	t.endpoints.Taps(func(fn *function.Function, ex endpoint.Executor, addr string) {
		// One address may have been found twice, under a stream and after it.
		if to := tapperOf(ex); to != nil && !seen[use{to, addr}] {
			seen[use{to, addr}] = true
			batches[to] = append(batches[to], executor.Tap{Function: fn, Address: addr})
		}
	})
	if len(batches) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var wait sync.WaitGroup
	for to, taps := range batches {
		wait.Go(func() { t.report(to.Tap(ctx, taps), len(taps)) })
	}
	wait.Wait()
}

func (t *tapper) report(err error, taps int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.failures = 0
		return
	}
	countTapError()
	t.failures++
	say := t.logger.Debug
	if t.failures >= loudFailures {
		say = t.logger.Error
	}
	say("the executor was not told which addresses are in use", zap.Int("taps", taps), zap.Int("failed_in_a_row", t.failures), zap.Error(err))
}

// untapTimeout bounds one call of release.
const untapTimeout = 3 * time.Second

// release tells the executor that gave an address that the router does not use
// it any more. Only one that keeps a pool of instances wants to know.
func (t *tapper) release(fn *function.Function, addr string) {
	if fn.ExecutorType != function.PoolManager {
		return
	}
	to := t.untapperOf(fn)
	if to == nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), untapTimeout)
		defer cancel()
		if err := to.Untap(ctx, executor.Tap{Function: fn, Address: addr}); err != nil {
			t.logger.Debug("the executor was not told that an address is not used any more",
				zap.String("function", fn.Ref.String()), zap.String("address", addr), zap.Error(err))
		}
	}()
}

// untapperOf is the executor that gave a function's addresses, if it is still
// configured and wants to know.
func (t *tapper) untapperOf(fn *function.Function) executor.Untapper {
	t.mu.Lock()
	defer t.mu.Unlock()
	for app := range t.intervals {
		if shared, ok := app.executor.(interface{ Client() *executor.Client }); ok && app.executor.Revision(fn.Ref) == fn.Revision {
			return shared.Client()
		}
	}
	return nil
}

// tapperOf is what an executor is told by, the same for all configurations
// that share an executor; nil if it does not want to know.
func tapperOf(ex endpoint.Executor) executor.Tapper {
	if shared, ok := ex.(interface{ Client() *executor.Client }); ok {
		return shared.Client()
	}
	t, _ := ex.(executor.Tapper)
	return t
}
