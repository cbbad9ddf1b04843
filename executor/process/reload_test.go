//go:build unix

package process

import (
	"context"
	"testing"
	"time"
)

func TestAReloadThatChangesNothingLeavesProcessesAlone(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("same", "serve")
	e := w.executor(s)
	addr := w.address(e, "same")
	pid := getInt(t, addr, "/")
	for n := range 20 {
		s.IdleTimeout += time.Second + time.Duration(n) // no reason for a new process
		next := w.executor(s)
		e.Stop()
		e = next
	}
	if got := w.address(e, "same"); got != addr || getInt(t, got, "/") != pid {
		t.Errorf("after 20 reloads the address is %s; want %s and pid %d", got, addr, pid)
	}
	if n := len(w.seen(EventStart)); n != 1 {
		t.Errorf("%d programs were started; want 1", n)
	}
}

func TestAChangedFunctionStartsTheNewAndDrainsTheOld(t *testing.T) {
	w := newWorld(t, Options{})
	old := w.executor(program("change", "serve"))
	oldAddr := w.address(old, "change")
	w.router.busy(oldAddr, 1)
	next := w.executor(program("change", "serve", "VERSION", "2"))
	w.eventually("the new one is ready without a request", func() bool { return len(w.seen(EventReady)) == 2 })
	old.Stop()
	newAddr := w.address(next, "change")
	if newAddr == oldAddr {
		t.Fatalf("the new address is the old, %s", newAddr)
	}
	// Requests outlive their configuration: this one asks late.
	if got := w.address(old, "change"); got != newAddr {
		t.Errorf("the old configuration gives %s; want the new instance, %s", got, newAddr)
	}
	time.Sleep(200 * time.Millisecond)
	if closed(oldAddr) {
		t.Error("the old one was stopped with a request on its way")
	}
	w.router.busy(oldAddr, 0)
	w.eventually("the old one is stopped", func() bool { return len(w.seen(EventStop)) == 1 })
	if !closed(oldAddr) || closed(newAddr) {
		t.Errorf("old closed: %t, new closed: %t; want true, false", closed(oldAddr), closed(newAddr))
	}
}

func TestAFunctionThatIsNotRunningIsNotStartedByAReload(t *testing.T) {
	w := newWorld(t, Options{})
	old := w.executor(program("cold", "serve"))
	w.executor(program("cold", "serve", "VERSION", "2"))
	old.Stop()
	time.Sleep(100 * time.Millisecond)
	if got := w.seen(EventStart); len(got) != 0 {
		t.Errorf("started: %+v; want nothing", got)
	}
}

func TestAConfigurationThatIsGivenUpAtOnceChangesNothing(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("keep", "serve")
	e := w.executor(s)
	addr := w.address(e, "keep")
	changed := program("keep", "serve", "VERSION", "2")
	w.executor(changed).Stop()
	if got := w.address(e, "keep"); got != addr {
		t.Errorf("the address is %s; want %s", got, addr)
	}
}

func TestARemovedFunctionIsStopped(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("removed", "serve"), program("stays", "serve"))
	addr := w.address(e, "removed")
	stays := w.address(e, "stays")
	next := w.executor(program("stays", "serve"))
	e.Stop()
	w.eventually("the removed function is stopped", func() bool { return closed(addr) })
	if got := w.address(next, "stays"); got != stays {
		t.Errorf("the other's address is %s; want %s", got, stays)
	}
	if addrs, err := e.Addresses(t.Context(), fn("removed")); err == nil {
		t.Errorf("Addresses(removed) = %v; want an error", addrs)
	}
}

func TestReloadsLeakNeitherProcessesNorDescriptors(t *testing.T) {
	w := newWorld(t, Options{})
	versions := []string{"1", "2"}
	e := w.executor(program("leak", "polite", "VERSION", "0"))
	w.address(e, "leak")
	before := openFiles(t)
	for n := range 20 {
		next := w.executor(program("leak", "polite", "VERSION", versions[n%2]))
		e.Stop()
		e = next
		w.address(e, "leak")
	}
	w.eventually("one instance is left", func() bool { return len(w.rt.Snapshot()) == 1 })
	w.eventually("descriptors are as before", func() bool { return openFiles(t) <= before })
}

func TestARequestThatNeverEndsHoldsAStopUpOnlySoLong(t *testing.T) {
	w := newWorld(t, Options{DrainTimeout: 300 * time.Millisecond})
	e := w.executor(program("endless", "serve"))
	addr := w.address(e, "endless")
	w.router.busy(addr, 1)
	e.Stop()
	w.eventually("it is stopped all the same", func() bool { return len(w.seen(EventStop)) == 1 })
	if w.logged("function is stopped with requests on their way") == nil {
		t.Error("the log does not say that requests were on their way")
	}
}

func TestSnapshotShowsFunctionsWithAndWithoutInstances(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("a", "serve"), program("b", "serve"))
	addr := w.address(e, "a")
	got := e.Snapshot()
	if len(got) != 2 || got[0].Name != "default/a" || got[1].Name != "default/b" {
		t.Fatalf("Snapshot is %+v; want a and b", got)
	}
	if a := got[0]; a.State != StateReady || a.Address != addr || a.Pid != getInt(t, addr, "/") || a.Started.IsZero() || a.Restarts != 0 {
		t.Errorf("a is %+v; want it ready at %s, with its pid and start", a, addr)
	}
	if b := got[1]; b.State != StateIdle || b.Pid != 0 || b.Address != "" {
		t.Errorf("b is %+v; want it idle", b)
	}
}

func TestCloseDoesNotWaitBeyondItsContext(t *testing.T) {
	w := newWorld(t, Options{})
	s := program("stubborn", "deaf")
	s.StopTimeout = time.Hour
	e := w.executor(s)
	w.router.busy(w.address(e, "stubborn"), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.rt.Close(ctx); err == nil {
		t.Error("Close = nil; want an error that says what had to be killed")
	}
	if pid := w.seen(EventStart)[0].Pid; !gone(pid) {
		t.Errorf("pid %d is there; want it killed", pid)
	}
	if addrs, err := e.Addresses(t.Context(), fn("stubborn")); err == nil {
		t.Errorf("Addresses after Close = %v; want an error", addrs)
	}
	if err := newExecutor(t, w.rt, s).Start(); err == nil {
		t.Error("Start after Close = nil; want an error")
	}
}

func newExecutor(t *testing.T, rt *Runtime, specs ...Spec) *Executor {
	t.Helper()
	e, err := NewExecutor(rt, specs)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
