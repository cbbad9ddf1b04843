package caddytest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ask sends a request with headers (name, value, name, value…) straight to a
// function, over a connection of its own.
func ask(ctx context.Context, url string, body io.Reader, header ...string) (*http.Response, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return newAdminClient().Do(req)
}

func mustAsk(t *testing.T, url string, body io.Reader, header ...string) *http.Response {
	t.Helper()
	resp, err := ask(t.Context(), url, body, header...)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func wantRefused(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dialling %s: got %v, want connection refused", addr, err)
	}
	if conn != nil {
		_ = conn.Close()
	}
}

func TestFunctionEchoesAndCounts(t *testing.T) {
	f := NewFunction(t)
	body := strings.Repeat("b", 1000)
	got := ReadEcho(t, mustAsk(t, f.URL("/a%20b?c=d"), strings.NewReader(body), TestIDHeader, "1", "X-Any", "thing"))
	if got.Function != f.ID() || got.Method != "POST" || got.URI != "/a%20b?c=d" || got.BodyLength != 1000 ||
		got.Header.Get("X-Any") != "thing" || got.Host != f.Addr() {
		t.Errorf("got echo %+v, want the request", got)
	}
	mustAsk(t, f.URL("/"), nil, TestIDHeader, "2")
	mustAsk(t, f.URL("/"), nil, TestIDHeader, "2")
	if f.Requests() != 3 || f.RequestsWithID("1") != 1 || f.RequestsWithID("2") != 2 {
		t.Errorf("got counts %d, %v, want 3 in total, ID 1 once, ID 2 twice", f.Requests(), f.IDs())
	}
	if got := f.Repeated(); len(got) != 1 || got["2"] != 2 {
		t.Errorf("got repeated %v, want ID 2 only", got)
	}
}

func TestFunctionCountsConcurrentRequests(t *testing.T) {
	f := NewFunction(t, Delay(50*time.Millisecond))
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			resp, err := ask(t.Context(), f.URL("/"), nil)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	wg.Wait()
	if got := f.MaxConcurrent(); got < 2 || got > 5 {
		t.Errorf("got %d at once, want 2 to 5", got)
	}
	Eventually(t, 5*time.Second, func() bool { return f.Active() == 0 }, func() string { return "still active" })
}

func TestFunctionListensLater(t *testing.T) {
	f := NewFunction(t, ListenAfter(200*time.Millisecond))
	wantRefused(t, f.Addr())
	if !f.Listening().IsZero() {
		t.Error("got a time since when a function listens that does not")
	}
	Eventually(t, 10*time.Second, func() bool {
		resp, err := ask(t.Context(), f.URL("/"), nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	}, func() string { return "the function does not listen" })
	if f.Listening().IsZero() {
		t.Error("got no time since when the function listens")
	}
}

func TestKilledFunctionCutsItsConnections(t *testing.T) {
	for round := range 3 {
		f := NewFunction(t)
		streaming := mustAsk(t, f.URL("/"), nil, DoHeader, "sse?n=-1&every=5ms")
		upgraded, err := net.Dial("tcp4", f.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer upgraded.Close()
		_, _ = io.WriteString(upgraded, "GET / HTTP/1.1\r\nHost: f\r\nConnection: Upgrade\r\nUpgrade: raw\r\n"+DoHeader+": websocket\r\n\r\nping")
		buf := make([]byte, 4096)
		var seen []byte
		for !bytes.Contains(seen, []byte("ping")) {
			n, err := upgraded.Read(buf)
			if err != nil {
				t.Fatalf("round %d: reading the echo: %v after %q", round, err, seen)
			}
			seen = append(seen, buf[:n]...)
		}

		f.Kill()
		wantRefused(t, f.Addr())
		if _, err := io.Copy(io.Discard, streaming.Body); err == nil {
			t.Error("the stream ended in order, want it cut")
		}
		if n, err := upgraded.Read(buf); err == nil {
			t.Errorf("got %d bytes from a killed function's tunnel, want an end", n)
		}
		f.Restart(t)
		ReadEcho(t, mustAsk(t, f.URL("/"), nil))
	}
}

func TestBlackHoleSwallowsDials(t *testing.T) {
	addr := BlackHole(t)
	start := time.Now()
	conn, err := net.DialTimeout("tcp4", addr, 300*time.Millisecond)
	if err == nil {
		_ = conn.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v after %v, want a time-out", err, time.Since(start))
	}
}

func TestProcessFunctionIsKilledAndComesBack(t *testing.T) {
	f := NewProcessFunction(t, WithID("mine"))
	if got := ReadEcho(t, mustAsk(t, f.URL("/x"), nil, TestIDHeader, "7")); got.Function != "mine" {
		t.Errorf("got function %q, want mine", got.Function)
	}
	hanging := make(chan error, 1)
	go func() {
		resp, err := ask(t.Context(), f.URL("/"), nil, TestIDHeader, "8", DoHeader, "slow?n=2&every=1m")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		hanging <- err
	}()
	Eventually(t, 30*time.Second, func() bool { return f.RequestsWithID(t, "8") == 1 },
		func() string { return "the request did not reach the process" })
	f.Kill()
	if err := <-hanging; err == nil {
		t.Error("got a whole answer from a killed process")
	}
	wantRefused(t, f.Addr())
	f.Restart(t)
	ReadEcho(t, mustAsk(t, f.URL("/"), nil, TestIDHeader, "7"))
	if n, rep := f.Requests(t), f.Repeated(t); n != 3 || rep["7"] != 2 || len(rep) != 1 {
		t.Errorf("got %d requests, repeated %v, want 3, and ID 7 twice", n, rep)
	}
}

func TestNoGoroutineOutlivesAFunction(t *testing.T) {
	NoLeak(t, func() {
		t.Run("one function", func(t *testing.T) {
			f := NewFunction(t, Delay(time.Hour))
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				Eventually(t, 10*time.Second, func() bool { return f.Active() == 1 }, func() string { return "not reached" })
				cancel()
			}()
			if resp, err := ask(ctx, f.URL("/"), nil); err == nil {
				_ = resp.Body.Close()
				t.Error("got an answer, want the cancellation")
			}
		})
	})
}
