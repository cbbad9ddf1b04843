package caddytest

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// settleTime is how long goroutines get to end on their own.
const settleTime = 5 * time.Second

// NoLeak runs f and fails the test if more goroutines are left afterwards than
// there were before, once they have had a few seconds to end. It counts those
// of the whole test process, so it needs a test that does not run beside
// others, and it sees an in-process Caddy but not one of [Process].
func NoLeak(t testing.TB, f func()) {
	t.Helper()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	before := Settle(runtime.NumGoroutine)
	f()
	Eventually(t, settleTime, func() bool {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		return runtime.NumGoroutine() <= before
	}, func() string {
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		return fmt.Sprintf("goroutines leaked: %d before, %d left\n%s", before, runtime.NumGoroutine(), stacks.String())
	})
}

// Settle returns count() once three readings in a row, 20 ms apart, agree, or
// the last one after a few seconds.
func Settle(count func() int) int {
	last, same := count(), 0
	for deadline := time.Now().Add(settleTime); same < 2 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		if now := count(); now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
	return last
}

// Eventually polls ok until it is true. If timeout passes first, it fails the
// test with what describe returns.
func Eventually(t testing.TB, timeout time.Duration, ok func() bool, describe func() string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for wait := time.Millisecond; !ok(); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", timeout, describe())
		}
		time.Sleep(wait)
	}
}
