package caddytest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// roomTest is how many clients come to a function that stays cold.
type roomTest struct {
	room, surplus int
	heldBytes     int64 // max_waiting_bytes
}

// crowd is the real one, or one that fits the race detector.
func crowd() roomTest {
	if raceEnabled {
		return roomTest{room: 500, surplus: 500, heldBytes: 16 << 20}
	}
	return roomTest{room: 10_000, surplus: 10_000, heldBytes: 64 << 20}
}

const (
	// waitingBody is the largest body that is held by default.
	waitingBody = 64 << 10
	// waitingCost is what a waiting request may cost beside its body, over
	// an idle connection.
	waitingCost = 16 << 10
)

// live is the memory that Caddy uses, in bytes.
func (c *Caddy) live(t *testing.T) int64 {
	t.Helper()
	m := c.Memory(t)
	return m.HeapAlloc + m.StackInuse
}

// wantSurplusRefused sends n requests and wants each to be told to come later.
func (p *platform) wantSurplusRefused(t *testing.T, n int, body string) {
	t.Helper()
	const connections = 32
	wires := p.dialWires(t, connections)
	var next atomic.Int64
	rep := Load(t, connections, connections, func(_ context.Context, i int) error {
		for next.Add(1) <= int64(n) {
			r, err := wires[i].do(http.MethodPost, "/cold", "", body)
			if err != nil {
				return err
			}
			if r.status != http.StatusServiceUnavailable || r.reason() != "waiting_room_full" || r.header.Get("Retry-After") == "" {
				return fmt.Errorf("got %d %q, Retry-After %q, want 503 waiting_room_full and one", r.status, r.reason(), r.header.Get("Retry-After"))
			}
		}
		return nil
	})
	rep.RequireNoErrors(t)
	t.Logf("%d refused in %v", n, rep.Elapsed)
}

// settledMemory returns live once it has stopped growing.
func (c *Caddy) settledMemory(t *testing.T) int64 {
	t.Helper()
	last := c.live(t)
	for range 50 {
		time.Sleep(50 * time.Millisecond)
		now := c.live(t)
		if now-last < 64<<10 {
			return now
		}
		last = now
	}
	return last
}

// A function stays cold while twenty thousand ask for it with large bodies:
// the room takes what it may, the others are sent away, memory stays bounded,
// and all of it comes back. Those sent away use a few connections one after
// the other, so that 20,000 requests do with 10,000 connections.
func TestFunctionStaysColdUnderACrowd(t *testing.T) {
	n := crowd()
	f := NewFunction(t, WithHandler(Status(http.StatusOK)))
	p := startPlatform(t, fmt.Sprintf("cold_start_timeout 5m\nmax_waiting %d\nmax_waiting_bytes %d", n.room, n.heldBytes),
		triggersFor("warm", "cold"), Process())
	p.ex.Answer("warm", executortest.At(f.Addr()))
	p.ex.Answer("cold", executortest.Answer{Until: make(chan struct{})})
	body := strings.Repeat("b", waitingBody)

	wires := p.dialWires(t, n.room)
	Load(t, n.room, 64, func(_ context.Context, i int) error { // each connection has served already
		return wires[i].ok(http.MethodGet, "/warm", "", "")
	}).RequireNoErrors(t)
	idle := p.live(t)

	var sending sync.WaitGroup
	defer sending.Wait()
	for _, w := range wires { // each by itself: a body that is not read may block its sender
		sending.Go(func() { _ = w.send(http.MethodPost, "/cold", "", body) })
	}
	p.awaitWaiting(t, n.room)
	waiting := p.settledMemory(t)
	cost := (waiting - idle - n.heldBytes) / int64(n.room)
	t.Logf("%d wait with %d MiB of bodies, of which %d MiB may be held; memory %d MiB idle, %d MiB waiting: %d bytes for a waiting request",
		n.room, n.room*waitingBody>>20, n.heldBytes>>20, idle>>20, waiting>>20, cost)
	if waiting-idle < n.heldBytes {
		t.Errorf("got %d bytes more than idle, want %d of bodies at least: as many are held as may be", waiting-idle, n.heldBytes)
	}
	if cost > waitingCost && !raceEnabled {
		t.Errorf("got %d bytes for a waiting request, want %d at most", cost, waitingCost)
	}

	p.wantSurplusRefused(t, n.surplus, body)
	if got := p.waiting(t); got != n.room {
		t.Errorf("got %d requests waiting after the surplus, want %d still", got, n.room)
	}
	for _, w := range wires {
		w.close()
	}
	left := time.Now()
	p.awaitWaiting(t, 0)
	took := time.Since(left)
	sending.Wait()
	var end int64
	Eventually(t, patience, func() bool {
		end = p.live(t)
		return end <= idle
	}, func() string {
		return fmt.Sprintf("got %d MiB after all had left, want no more than %d", end>>20, idle>>20)
	})
	t.Logf("all places free %v after they left; memory %d MiB", took, end>>20)
}
