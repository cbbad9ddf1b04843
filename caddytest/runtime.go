package caddytest

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

// Memory is what Go's runtime says about a Caddy's memory right after a garbage
// collection, in bytes.
type Memory struct {
	HeapAlloc  int64 // live objects
	HeapInuse  int64 // spans that hold them
	StackInuse int64 // stacks of goroutines
}

// Goroutines returns how many goroutines the process that Caddy runs in has;
// for a Caddy without [Process] that is the test process.
func (c *Caddy) Goroutines(t testing.TB) int {
	t.Helper()
	profile := c.adminGet(t, "/debug/pprof/goroutine?debug=1")
	var n int
	if _, err := fmt.Sscanf(profile, "goroutine profile: total %d", &n); err != nil {
		t.Fatalf("caddytest: reading the goroutine profile: %v", err)
	}
	return n
}

// GoroutineStacks returns the stacks of all goroutines, grouped, as pprof
// writes them with debug=1.
func (c *Caddy) GoroutineStacks(t testing.TB) string {
	t.Helper()
	return c.adminGet(t, "/debug/pprof/goroutine?debug=1")
}

// Memory collects garbage in the process that Caddy runs in, and returns what
// is left.
func (c *Caddy) Memory(t testing.TB) Memory {
	t.Helper()
	profile := c.adminGet(t, "/debug/pprof/heap?debug=1&gc=1")
	var m Memory
	fields := map[string]*int64{
		"# HeapAlloc =": &m.HeapAlloc, "# HeapInuse =": &m.HeapInuse, "# Stack =": &m.StackInuse,
	}
	lines := bufio.NewScanner(strings.NewReader(profile))
	for lines.Scan() {
		for prefix, field := range fields {
			value, ok := strings.CutPrefix(lines.Text(), prefix)
			if !ok {
				continue
			}
			if _, err := fmt.Sscan(value, field); err != nil {
				t.Fatalf("caddytest: reading the heap profile: %q: %v", lines.Text(), err)
			}
			delete(fields, prefix)
		}
	}
	if len(fields) > 0 {
		t.Fatalf("caddytest: the heap profile lacks %d of its fields", len(fields))
	}
	return m
}
