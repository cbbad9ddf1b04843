//go:build unix

package caddytest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pidsOf makes n requests at once and counts who answered them.
func (c *Caddy) pidsOf(t *testing.T, n int, path string) map[string]int {
	t.Helper()
	pids := make(map[string]int)
	var mu sync.Mutex
	Load(t, n, n, func(context.Context, int) error {
		r, err := c.try(http.MethodGet, path, "")
		if err != nil {
			return err
		}
		mu.Lock()
		pids[r.body]++
		mu.Unlock()
		return r.wantOK()
	}).RequireNoErrors(t)
	return pids
}

// With a limit on requests at once, as many instances start as requests need,
// up to the greatest number, and go when they are not needed any more.
func TestInstancesFollowTheLoad(t *testing.T) {
	const concurrency, most, least = 2, 3, 1
	p := newPrograms(t)
	c := Start(t, programConfig("function hello {\nconcurrency 2\n}",
		p.function("hello", "serve", "instances 1 3", "idle_timeout 2s")))
	first := p.awaitLeft(t, least) // without a request
	if got := c.number(t, "/hello/"); got != first[0] {
		t.Errorf("got an answer of pid %d, want one of %d, which runs at all times", got, first[0])
	}
	pids := c.pidsOf(t, concurrency, "/hello/slow?for=300ms")
	if len(pids) != 1 {
		t.Errorf("got %d requests answered by %v, want all by one instance", concurrency, pids)
	}
	// More than all instances can take at once: the rest waits in order.
	pids = c.pidsOf(t, 6*concurrency*most, "/hello/slow?for=300ms")
	t.Logf("%d requests, %d at once per instance: %v", 6*concurrency*most, concurrency, pids)
	if len(pids) != most || len(p.started(t)) != most {
		t.Errorf("got requests answered by %v and %d processes, want %d", pids, len(p.started(t)), most)
	}
	if left := p.awaitLeft(t, least); len(c.pidsOf(t, 1, "/hello/")) != 1 {
		t.Errorf("got no answer of %v", left)
	}
}

// A request goes where the fewest are.
func TestTheLeastLoadedInstanceIsPicked(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig("function hello {\nconcurrency 8\n}", p.function("hello", "serve", "instances 2 2")))
	p.awaitLeft(t, 2)
	Eventually(t, patience, func() bool { return len(c.pidsOf(t, 4, "/hello/slow?for=50ms")) == 2 },
		func() string { return "one instance gets all requests" })
	busy := c.mustDial(t)
	if err := busy.send(http.MethodGet, "/hello/stream", "", ""); err != nil {
		t.Fatal(err)
	}
	loaded := busy.readPid(t)
	answers := make(map[string]int)
	for range 20 {
		answers[c.text(t, "/hello/")]++
	}
	if answers[loaded] > 0 {
		t.Errorf("got answers of %v while %s was busy, want none of it", answers, loaded)
	}
}

// readPid reads until a line that is a process's ID. Others are the head's,
// and the lengths of chunks.
func (w *wire) readPid(t *testing.T) string {
	t.Helper()
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			t.Fatalf("the connection broke off: %v", err)
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && n > 1 {
			return strconv.Itoa(n)
		}
	}
}

// The least number of instances starts with Caddy, is kept up when one dies,
// and changes with the configuration.
func TestTheLeastNumberOfInstancesIsKept(t *testing.T) {
	p := newPrograms(t)
	config := func(n int) Config {
		return programConfig(p.function("hello", "serve", fmt.Sprintf("instances %d 4", n), "idle_timeout 300ms"))
	}
	c := Start(t, config(2))
	pids := p.awaitLeft(t, 2)
	kill(t, pids[0])
	Eventually(t, patience, func() bool { return len(p.started(t)) == 3 }, func() string { return "the killed instance is not replaced" })
	p.awaitLeft(t, 2)
	if err := c.Reload(t, config(4)); err != nil {
		t.Fatal(err)
	}
	p.awaitLeft(t, 4)
	if err := c.Reload(t, config(0)); err != nil {
		t.Fatal(err)
	}
	p.awaitLeft(t, 0)
	if pid := c.number(t, "/hello/"); isGone(pid) {
		t.Errorf("pid %d is gone, want it to run", pid)
	}
}

// What lasts longer than idle_timeout keeps its instance, and only that long.
func TestStreamsKeepTheirInstance(t *testing.T) {
	const idle = 500 * time.Millisecond
	for what, request := range map[string]struct {
		path   string
		header []string
		next   string // what is sent before each line is read
	}{
		"a stream":               {path: "/hello/stream"},
		"an upgraded connection": {path: "/hello/upgrade", header: []string{"Connection", "Upgrade", "Upgrade", "lines"}, next: "line\n"},
	} {
		t.Run(what, func(t *testing.T) {
			p := newPrograms(t)
			c := Start(t, programConfig(p.function("hello", "serve", "idle_timeout "+idle.String())))
			w := c.mustDial(t)
			if err := w.send(http.MethodGet, request.path, "", "", request.header...); err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]bool)
			for end := time.Now().Add(4 * idle); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if _, err := w.conn.Write([]byte(request.next)); err != nil {
					t.Fatal(err)
				}
				seen[w.readPid(t)] = true
			}
			if len(seen) != 1 || len(p.started(t)) != 1 {
				t.Errorf("got lines of %v, want them all of one process", seen)
			}
			w.close()
			p.awaitLeft(t, 0)
		})
	}
}

// An instance that nobody calls goes, and the next call starts another.
func TestIdleInstancesGoAndComeBack(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "serve", "idle_timeout 300ms")))
	pids := make(map[int]bool)
	for range 3 {
		pids[c.number(t, "/hello/")] = true
		p.awaitLeft(t, 0)
	}
	if len(pids) != 3 {
		t.Errorf("got answers of %v, want them of three processes", pids)
	}
	for _, entry := range c.Logs() {
		if entry.Msg == "function crashed" {
			t.Errorf("an idle instance's end is logged as a crash: %s", entry.Raw)
		}
	}
}
