//go:build unix

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest/observer"
)

func TestACrashIsSeenAtOnce(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("crash", "serve"))
	addr := w.address(e, "crash")
	if _, err := tryGet(addr, "/exit"); err == nil {
		t.Error("GET /exit was answered; want the program to end instead")
	}
	w.eventually("the crash is reported", func() bool { return len(w.seen(EventCrash)) == 1 })
	exit, ok := w.seen(EventCrash)[0].Err.(*ExitError)
	if !ok || exit.AtStart || exit.State != "exit status 7" || exit.Temporary() || !slices.Contains(exit.Tail, "asked to exit") {
		t.Errorf("crash is %+v; want exit status 7 while running, with the output's end", exit)
	}
	if !strings.Contains(exit.Detail(), "exit status 7\n") || !strings.HasSuffix(exit.Detail(), "asked to exit") {
		t.Errorf("Detail is %q; want the state, and the output after it", exit.Detail())
	}
	if !w.router.wasInvalidated(addr) {
		t.Errorf("%s was not taken from the router", addr)
	}
	got := w.logged("function crashed")
	if got["state"] != "exit status 7" || got["output"] == nil || got["function"] != "default/crash" {
		t.Errorf("log entry has %v; want function, state and output", got)
	}
	if next := w.address(e, "crash"); next == addr {
		t.Errorf("the next address is %s again; want another port", next)
	}
	if s := e.Snapshot(); len(s) != 1 || s[0].Restarts != 1 || s[0].LastExit != exit.Error() {
		t.Errorf("Snapshot is %+v; want 1 restart and the last exit", s)
	}
}

func TestAProgramThatDiesAtStartIsNoHotLoop(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	w := newWorld(t, Options{})
	s := program("dies", "exit", "LINES", "30", "COUNT", count)
	s.Min = 1 // which has it restarted without anybody asking, too
	e := w.executor(s)
	exit := startError[*ExitError](w, e, "dies")
	if exit.State != "exit status 3" || !exit.AtStart {
		t.Errorf("Addresses: %v; want exit status 3 at start", exit)
	}
	if len(exit.Tail) != 20 || exit.Tail[0] != "line 11" || exit.Tail[19] != "line 30" {
		t.Errorf("Tail is %q; want the last 20 of 30 lines", exit.Tail)
	}
	began, asked := time.Now(), 0
	for time.Since(began) < 2*time.Second {
		startError[*ExitError](w, e, "dies")
		asked++
		time.Sleep(time.Millisecond)
	}
	starts, err := os.ReadFile(count)
	if err != nil || len(starts) < 2 || len(starts) > 8 {
		t.Errorf("in 2s and %d calls it was started %d times (%v); want 2 to 8", asked, len(starts), err)
	}
	w.eventually("the function is shown as failing", func() bool {
		s := e.Snapshot()
		return len(s) == 1 && s[0].State == StateFailing && s[0].Restarts > 0
	})
	// Mended by loading a configuration.
	next := w.executor(program("dies", "serve"))
	e.Stop()
	w.address(next, "dies")
}

func TestAnInstanceThatHasToRunIsRestarted(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("always", "serve")
	s.Min, s.Max = 2, 3
	e := w.executor(s)
	two := func() bool { _, ready, _ := w.states(); return ready == 2 }
	w.eventually("two are ready without a request", two)
	addrs, err := e.Addresses(t.Context(), fn("always"))
	if err != nil || len(addrs) != 2 {
		t.Fatalf("Addresses = %v, %v; want both", addrs, err)
	}
	syscall.Kill(w.seen(EventStart)[0].Pid, syscall.SIGKILL)
	w.eventually("the crash is seen", func() bool { return len(w.seen(EventCrash)) == 1 })
	w.eventually("two are ready again", two)
	w.eventually("the router is told", func() bool { return w.router.refreshes() > 0 })
}

func TestAnInstanceIsStoppedWhenIdleAndNotBefore(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("idle", "polite")
	s.IdleTimeout = 200 * time.Millisecond
	e := w.executor(s)
	addr := w.address(e, "idle")
	w.router.busy(addr, 1)
	time.Sleep(3 * s.IdleTimeout)
	if closed(addr) {
		t.Fatal("stopped with a request on its way; want it running")
	}
	w.router.busy(addr, 0)
	w.eventually("it is stopped", func() bool { return len(w.seen(EventStop)) == 1 })
	if got := w.logged("function is stopped"); got["reason"] != "idle" || got["state"] != "exit status 0" {
		t.Errorf("log entry has %v; want reason idle and exit status 0", got)
	}
	if !w.router.wasInvalidated(addr) {
		t.Errorf("%s was not taken from the router before", addr)
	}
	if !slices.Contains(w.lines("stdout"), "bye") {
		t.Errorf("output is %q; want what it said on SIGTERM", w.lines("stdout"))
	}
	if n := len(w.seen(EventCrash)); n != 0 {
		t.Errorf("%d crashes; want 0", n)
	}
}

func TestARequestWhileTheLastInstanceStopsGetsANewOne(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("last", "deaf")
	s.IdleTimeout, s.StopTimeout = 50*time.Millisecond, time.Second
	e := w.executor(s)
	old := w.address(e, "last")
	w.eventually("the last instance is stopping", func() bool { _, _, n := w.states(); return n == 1 })
	if got := w.address(e, "last"); got == old {
		t.Errorf("Addresses gave %s, which is stopping; want a new one", got)
	}
}

func TestAProgramThatIgnoresSIGTERMIsKilled(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("deaf", "deaf")
	s.StopTimeout = 300 * time.Millisecond
	e := w.executor(s)
	addr := w.address(e, "deaf")
	e.Stop()
	w.eventually("it is gone", func() bool { return len(w.seen(EventStop)) == 1 })
	if got := w.logged("function did not stop by itself and was killed"); got["state"] != "signal: killed" {
		t.Errorf("log entry has %v; want state signal: killed", got)
	}
	if !closed(addr) {
		t.Errorf("%s still listens", addr)
	}
}

func TestTheWholeFamilyIsStopped(t *testing.T) {
	for what, end := range map[string]func(*world, *Executor){
		"by a stop":   func(_ *world, e *Executor) { e.Stop() },
		"by a crash":  func(w *world, _ *Executor) { syscall.Kill(w.seen(EventStart)[0].Pid, syscall.SIGKILL) },
		"by shutdown": func(w *world, _ *Executor) { w.close() },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, Options{})
			e := w.executor(program("family", "family"))
			grandchild := get(t, w.address(e, "family"), "/grandchild")
			if closed(grandchild) {
				t.Fatalf("the grandchild does not listen at %s", grandchild)
			}
			end(w, e)
			w.eventually("the grandchild is gone", func() bool { return closed(grandchild) })
		})
	}
}

func TestARunawayThatHoldsThePipesHangsNothing(t *testing.T) {
	w := newWorld(t, Options{})
	began := time.Now()
	exit := startError[*ExitError](w, w.executor(program("runaway", "runaway")), "runaway")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the end was reported after %s; want it long before the holder's 20s", took)
	}
	if exit.State != "exit status 5" || len(exit.Tail) != 1 {
		t.Errorf("exit is %+v; want status 5 and one line", exit)
	}
}

func TestKillsUnderLoadFailNoCallForAddresses(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("killed", "serve")
	s.Min, s.Max = 1, 3
	e := w.executor(s)
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var served atomic.Int64
	for range 3 {
		clients.Go(func() {
			for ctx.Err() == nil {
				addrs, err := e.Addresses(t.Context(), fn("killed"))
				if err != nil {
					t.Errorf("Addresses: %v; want nil", err)
					return
				}
				if _, err := tryGet(addrs[0], "/"); err == nil {
					served.Add(1)
				}
				_, err = e.EnsureCapacity(t.Context(), fn("killed"), len(addrs), 0)
				if err != nil && !errors.Is(err, ErrAtMaximum) {
					t.Errorf("EnsureCapacity: %v; want nil or ErrAtMaximum", err)
				}
			}
		})
	}
	const kills = 30
	for n := range kills {
		w.eventually("there is one to kill", func() bool { _, ready, _ := w.states(); return ready > 0 })
		if ready := w.ready(); len(ready) > 0 {
			syscall.Kill(ready[n%len(ready)], syscall.SIGKILL)
		}
		w.eventually("its end is seen", func() bool { return len(w.seen(EventCrash)) > n })
	}
	before := served.Load()
	w.eventually("requests are served again", func() bool { return served.Load() > before })
	stop()
	clients.Wait()
	t.Logf("%d requests were served during %d kills", served.Load(), kills)
}

func TestMoreInstancesUpToTheMaximum(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("many", "serve")
	s.Max, s.IdleTimeout = 3, 500*time.Millisecond
	e := w.executor(s)
	all := []string{w.address(e, "many")}
	w.router.busy(all[0], 1)
	for len(all) < 3 {
		addr, err := e.EnsureCapacity(t.Context(), fn("many"), len(all), len(all))
		if err != nil || slices.Contains(all, addr) {
			t.Fatalf("EnsureCapacity = %s, %v; want an address beside %v", addr, err, all)
		}
		w.router.busy(addr, 1)
		all = append(all, addr)
	}
	if addr, err := e.EnsureCapacity(t.Context(), fn("many"), 3, 3); !errors.Is(err, ErrAtMaximum) {
		t.Errorf("EnsureCapacity = %s, %v; want ErrAtMaximum", addr, err)
	}
	if addr, err := e.EnsureCapacity(t.Context(), fn("many"), 1, 1); err != nil || addr != all[2] {
		t.Errorf("EnsureCapacity with one known = %s, %v; want %s, which runs", addr, err, all[2])
	}
	got, err := e.Addresses(t.Context(), fn("many"))
	if err != nil || !slices.Equal(got, all) {
		t.Errorf("Addresses = %v, %v; want %v", got, err, all)
	}
	// Scaled back, but for the one in use.
	w.router.busy(all[0], 0)
	w.router.busy(all[2], 0)
	w.eventually("two are stopped", func() bool { return len(w.seen(EventStop)) == 2 })
	if got := w.address(e, "many"); got != all[1] {
		t.Errorf("left is %s; want %s, the busy one", got, all[1])
	}
	w.router.busy(all[1], 0)
	w.eventually("the last is stopped", func() bool { return len(w.seen(EventStop)) == 3 })
}

func TestOutputIsLoggedByLine(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("out", "long"))
	w.address(e, "out")
	w.eventually("all is logged", func() bool { return len(w.lines("stdout")) == 3 })
	got := w.lines("stdout")
	if len(got[0]) != maxLine || got[1] != "after" || got[2] != "serving default/out" {
		t.Errorf("lines are %d bytes of y, %q, %q; want %d, after, serving default/out", len(got[0]), got[1], got[2], maxLine)
	}
	entries := w.logs.All()
	first := slices.IndexFunc(entries, func(e observer.LoggedEntry) bool { return len(e.Message) == maxLine })
	fields := entries[first].ContextMap()
	if fields["function"] != "default/out" || fields["pid"] == nil || fields["cut"] != true || fields["address"] != nil {
		t.Errorf("fields are %v; want function, pid, stream and cut", fields)
	}
}
