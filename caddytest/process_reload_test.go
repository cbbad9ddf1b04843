//go:build unix

package caddytest

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// keepCalling makes requests, each on a connection of its own, until stop,
// which returns how many there were; any that fails fails the test.
//
// One whose connection was closed before any program saw it is made again: at
// a reload Caddy closes its old listener, with what nobody has accepted there,
// whatever it serves.
func (p *programs) keepCalling(t *testing.T, c *Caddy, clients int, method, path string) (stop func() int64) {
	t.Helper()
	var over atomic.Bool
	var made atomic.Int64
	var wg sync.WaitGroup
	call := func(id string) error {
		r, err := c.try(method, path, id)
		if err == nil {
			err = r.wantOK()
		}
		return err
	}
	for range clients {
		wg.Go(func() {
			for !over.Load() {
				id := fmt.Sprint(method, path, made.Add(1))
				err := call(id)
				for isClosed(err) && p.executed(t)[id] == 0 {
					err = call(id)
				}
				if err != nil {
					t.Errorf("%s %s during a reload: %v", method, path, err)
					return
				}
			}
		})
	}
	stop = sync.OnceValue(func() int64 {
		over.Store(true)
		wg.Wait()
		return made.Load()
	})
	t.Cleanup(func() { stop() })
	return stop
}

// A reload that changes one function's program: the new one takes over, the
// old one finishes what it has, nothing fails, and nobody else notices.
func TestAReloadChangesOneProgramUnderLoad(t *testing.T) {
	const reloads = 8
	p := newPrograms(t)
	config := func(version int) Config {
		return programConfig(p.function("same", "serve"), p.function("other", "serve", "instances 2 2"),
			p.function("changed", "serve", fmt.Sprintf("env VERSION %d", version)))
	}
	c := Start(t, config(0))
	same := c.number(t, "/same/")
	kept := p.awaitLeft(t, 3)
	stops := []func() int64{
		p.keepCalling(t, c, 4, http.MethodGet, "/changed/"), p.keepCalling(t, c, 2, http.MethodPost, "/changed/"),
		p.keepCalling(t, c, 2, http.MethodGet, "/same/"), p.keepCalling(t, c, 2, http.MethodGet, "/other/"),
	}
	for n := range reloads {
		slow := c.mustDial(t)
		if err := slow.send(http.MethodGet, "/changed/slow?for=400ms", "", ""); err != nil {
			t.Fatal(err)
		}
		if err := c.Reload(t, config(n+1)); err != nil {
			t.Fatalf("reload %d: %v", n, err)
		}
		r, err := slow.receive()
		if err == nil {
			err = r.wantOK()
		}
		if err != nil {
			t.Errorf("a request that was under way at reload %d: %v", n, err)
		}
		Eventually(t, patience, func() bool { return c.text(t, "/changed/version") == fmt.Sprint(n+1) },
			func() string { return fmt.Sprintf("version %d does not answer", n+1) })
	}
	var made int64
	for _, stop := range stops {
		made += stop()
	}
	t.Logf("%d requests during %d reloads", made, reloads)
	if got := c.number(t, "/same/"); got != same {
		t.Errorf("got pid %d of a function that did not change, want %d", got, same)
	}
	left := p.awaitLeft(t, 4) // one of the changed function's
	for _, pid := range kept {
		if !slices.Contains(left, pid) {
			t.Errorf("got the processes %v, want %d of a function that did not change among them", left, pid)
		}
	}
	for _, entry := range c.Logs() {
		if entry.Msg == "function crashed" || entry.Msg == "function did not start" {
			t.Errorf("got the log entry %s, want none like it", entry.Raw)
		}
	}
}

// A hundred reloads, every other of which changes a program, leave as many
// processes and descriptors as there were.
func TestReloadsLeakNoProcessAndNoDescriptor(t *testing.T) {
	const reloads = 100
	p := newPrograms(t)
	config := func(version int) Config {
		return programConfig(p.function("same", "serve"), p.function("changed", "serve", fmt.Sprintf("env VERSION %d", version/2%2)))
	}
	c := Start(t, config(0))
	call := func() int {
		c.client.CloseIdleConnections()
		c.text(t, "/changed/")
		return c.number(t, "/same/")
	}
	same := call()
	for n := range 10 { // until what is made once has been made
		if err := c.Reload(t, config(n)); err != nil {
			t.Fatal(err)
		}
		call()
	}
	p.awaitLeft(t, 2)
	files, routines := Settle(openFiles), Settle(func() int { return c.Goroutines(t) })
	for n := range reloads {
		if err := c.Reload(t, config(n)); err != nil {
			t.Fatalf("reload %d: %v", n, err)
		}
		if got := call(); got != same {
			t.Fatalf("got pid %d of the function that did not change after reload %d, want %d", got, n, same)
		}
	}
	p.awaitLeft(t, 2)
	Eventually(t, patience, func() bool { return openFiles() <= files }, func() string {
		return fmt.Sprintf("got %d descriptors, want %d as before: %q", openFiles(), files, openNames())
	})
	Eventually(t, patience, func() bool { return c.Goroutines(t) <= routines }, func() string {
		return fmt.Sprintf("got %d goroutines, want %d as before: %s", c.Goroutines(t), routines, c.GoroutineStacks(t))
	})
	t.Logf("after %d reloads: %d processes were started, %d descriptors (before: %d), %d goroutines (before: %d)",
		reloads, len(p.started(t)), openFiles(), files, c.Goroutines(t), routines)
}

// openFiles counts this process's descriptors.
func openFiles() int { return len(openNames()) }

// openNames are what they are open to, where the system says so.
func openNames() (names []string) {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		name, err := os.Readlink("/dev/fd/" + e.Name())
		if err != nil {
			name = e.Name()
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
