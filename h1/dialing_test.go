package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestACrowdSharesConnectionsInsteadOfMakingOneEach(t *testing.T) {
	var made, atOnce, most atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer srv.Close()
	tr := &Transport{MaxDialsPerAddr: 8, Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		made.Add(1)
		for n := atOnce.Add(1); ; {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		defer atOnce.Add(-1)
		var d net.Dialer
		return d.DialContext(ctx, "tcp", addr)
	}}
	defer tr.CloseIdleConnections()
	const crowd = 500
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			resp, body := do(t, tr, mustRequest(t, srv.Listener.Addr().String()))
			if resp.StatusCode != http.StatusOK || body != "ok" {
				t.Errorf("answered %d %q", resp.StatusCode, body)
			}
		})
	}
	wg.Wait()
	if m := most.Load(); m > 8 {
		t.Errorf("%d dials at once, want at most 8", m)
	}
	t.Logf("%d requests at once made %d connections", crowd, made.Load())
}

func TestSlowRequestsStillGetAConnectionEach(t *testing.T) {
	const crowd = 40
	var here atomic.Int32
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if here.Add(1) == crowd {
			close(all)
		}
		select {
		case <-all:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	tr := &Transport{MaxDialsPerAddr: 2}
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			resp, err := tr.RoundTrip(mustRequest(t, srv.Listener.Addr().String()).WithContext(ctx))
			if err != nil {
				t.Errorf("a request that needs %d others beside it: %v", crowd-1, err)
				return
			}
			_ = resp.Body.Close()
		})
	}
	wg.Wait()
}

func TestWhoLeavesTheQueueTakesNothingAlong(t *testing.T) {
	release := make(chan struct{})
	failed := errors.New("no route")
	tr := &Transport{MaxDialsPerAddr: 1, Dial: func(ctx context.Context, _ string) (net.Conn, error) {
		select {
		case <-release:
			return nil, failed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	const addr = "127.0.0.1:1"
	first := make(chan error)
	go func() {
		_, err := tr.RoundTrip(mustRequest(t, addr))
		first <- err
	}()
	eventually(t, "the first dials", func() bool {
		tr.idle.mu.Lock()
		defer tr.idle.mu.Unlock()
		return tr.idle.addrs[addr] != nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := tr.RoundTrip(mustRequest(t, addr).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits until the context ends gets %v, want its error", err)
	}
	close(release)
	if err := <-first; !errors.Is(err, failed) {
		t.Errorf("the first got %v, want its dial's error", err)
	}
	tr.idle.mu.Lock()
	defer tr.idle.mu.Unlock()
	if len(tr.idle.addrs) != 0 {
		t.Errorf("%d addresses are remembered, want none", len(tr.idle.addrs))
	}
}

func TestDroppingAnAddressLetsTheQueueFindOut(t *testing.T) {
	var dials atomic.Int32
	failed := errors.New("no route")
	release := make(chan struct{})
	tr := &Transport{MaxDialsPerAddr: 1, Dial: func(context.Context, string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			<-release
		}
		return nil, failed
	}}
	const addr = "127.0.0.1:1"
	results := make(chan error)
	for range 5 {
		go func() {
			_, err := tr.RoundTrip(mustRequest(t, addr))
			results <- err
		}()
	}
	eventually(t, "four wait", func() bool {
		tr.idle.mu.Lock()
		defer tr.idle.mu.Unlock()
		a := tr.idle.addrs[addr]
		return a != nil && len(a.queue) == 4
	})
	tr.CloseAddr(addr)
	for range 4 {
		if err := <-results; !errors.Is(err, failed) {
			t.Errorf("who waited got %v, want its own dial's error", err)
		}
	}
	close(release)
	if err := <-results; !errors.Is(err, failed) {
		t.Errorf("the first got %v, want its dial's error", err)
	}
}
