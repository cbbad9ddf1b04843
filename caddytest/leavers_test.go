package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// Clients that leave while they wait leave nothing behind: no place in the
// waiting room, no goroutine, no held byte, and no call of the executor.
func TestClientsThatLeaveWhileTheyWait(t *testing.T) {
	const n = manyClients / 2
	small := string(make([]byte, 100))
	for name, test := range map[string]struct {
		app  string
		send func(w *wire) error
	}{
		"GETs": {"", func(w *wire) error {
			return w.send(http.MethodGet, "/hello", "", "")
		}},
		"POSTs with small bodies": {"", func(w *wire) error {
			return w.send(http.MethodPost, "/hello", "", small)
		}},
		"POSTs with small bodies that nobody has room for": {"max_waiting_bytes 50B", func(w *wire) error {
			return w.send(http.MethodPost, "/hello", "", small)
		}},
		"POSTs whose bodies never came whole": {"", func(w *wire) error {
			_, err := io.WriteString(w.conn, "POST /hello HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPlatform(t, test.app, triggersFor("hello", "warm"), Process())
			f := NewFunction(t)
			p.ex.Answer("warm", executortest.At(f.Addr()))
			p.ex.Answer("hello", executortest.Answer{Until: make(chan struct{})})
			p.once(t, http.MethodGet, "/warm", "", "")
			p.leave(t, 1, test.send) // whatever lives once per process lives now
			before := Settle(func() int { return p.Goroutines(t) })

			left := p.leave(t, n, test.send)
			goroutines := 0
			Eventually(t, patience, func() bool {
				goroutines = p.Goroutines(t)
				return goroutines <= before
			}, func() string {
				return fmt.Sprintf("got %d goroutines, want %d as before\n%s", goroutines, before, p.GoroutineStacks(t))
			})
			took := time.Since(left)
			t.Logf("%d clients left; all was gone %v later", n, took)
			if took > time.Second && !raceEnabled || took > 5*time.Second {
				t.Errorf("got the last trace of the clients gone after %v, want 1s at most", took)
			}
		})
	}
}

// leave has n clients wait and go away, and returns when they had gone. It
// waits until their places are free.
func (p *platform) leave(t *testing.T, n int, send func(*wire) error) time.Time {
	t.Helper()
	wires := p.dialWires(t, n)
	Load(t, n, 64, func(_ context.Context, i int) error { return send(wires[i]) }).RequireNoErrors(t)
	p.awaitWaiting(t, n)
	for _, w := range wires {
		w.close()
	}
	left := time.Now()
	p.awaitWaiting(t, 0)
	return left
}
