//go:build unix

package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// These tests use the operating system's network and clock.

// executorFunc is an executor that is a function.
type executorFunc func(context.Context, *function.Function) ([]string, error)

func (f executorFunc) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	return f(ctx, fn)
}

func TestManyRequestsToFunctionsThatListenLater(t *testing.T) {
	noLeaks(t)
	const functions, each = 50, 20
	var calls atomic.Int32
	addrs := make(map[string]string)
	listened := make(map[string]*atomic.Int64)
	for i := range functions {
		name := fmt.Sprint("f", i)
		addr, listen := reserve(t)
		at := new(atomic.Int64)
		addrs[name], listened[name] = addr, at
		time.AfterFunc(time.Duration(rand.IntN(500))*time.Millisecond, func() {
			listen()
			at.Store(time.Now().UnixNano())
		})
	}
	p := New(Options{})
	defer p.Close()
	ex := executorFunc(func(_ context.Context, fn *function.Function) ([]string, error) {
		calls.Add(1)
		return []string{addrs[fn.Name]}, nil
	})
	var mu sync.Mutex
	var late []time.Duration
	var wg sync.WaitGroup
	for name := range addrs {
		fn := &function.Function{Ref: function.Ref{Name: name}}
		for range each {
			wg.Go(func() {
				l, err := p.Acquire(t.Context(), &Call{Function: fn, Executor: ex})
				if err != nil {
					t.Errorf("%s: got %v, want an address", name, err)
					return
				}
				defer l.Release()
				mu.Lock()
				defer mu.Unlock()
				late = append(late, time.Duration(time.Now().UnixNano()-listened[name].Load()))
			})
		}
	}
	wg.Wait()
	slices.Sort(late)
	if len(late) > 0 {
		t.Logf("%d requests got their address %v (median), %v (p99) after it listened; %d executor calls for %d functions",
			len(late), late[len(late)/2], late[len(late)*99/100], calls.Load(), functions)
	}
	equal(t, "requests served", len(late), functions*each)
	empty(t, p)
}

func TestTwoThousandRequestsAreOneCall(t *testing.T) {
	noLeaks(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const n = 2000
	var calls atomic.Int32
	var in sync.WaitGroup
	in.Add(n)
	ex := executorFunc(func(context.Context, *function.Function) ([]string, error) {
		calls.Add(1)
		in.Wait() // until all of them wait
		return []string{l.Addr().String()}, nil
	})
	p := New(Options{})
	defer p.Close()
	var served atomic.Int32
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if l, err := p.Acquire(t.Context(), &Call{Function: hello, Executor: ex, OnWait: in.Done}); err == nil {
				served.Add(1)
				l.Release()
			}
		})
	}
	wg.Wait()
	equal(t, "served", served.Load(), n)
	equal(t, "executor calls", calls.Load(), 1)
	empty(t, p)
}

func TestTheProbesConnectionCarriesARequest(t *testing.T) {
	noLeaks(t)
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hi") }))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	p := New(Options{})
	defer p.Close()
	addr := srv.Listener.Addr().String()
	ex := executorFunc(func(context.Context, *function.Function) ([]string, error) { return []string{addr}, nil })
	l := get(t, p, &Call{Function: hello, Executor: ex})
	defer l.Release()
	conn := p.TakeConn(l.Address())
	if conn == nil {
		t.Fatal("got no connection")
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	equal(t, "body", string(body), "hi")
	equal(t, "connections", conns.Load(), 1)
}

func TestADeadConnectionIsNotHandedOut(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(net.Conn)
		want bool
	}{
		"idle":        {func(net.Conn) {}, true},
		"with a byte": {func(c net.Conn) { c.Write([]byte("x")) }, true},
		"closed":      {func(c net.Conn) { c.Close() }, false},
		"reset":       {func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			near, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			far, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			c.act(far)
			var got bool
			for range 200 { // what the far end did takes a moment to arrive
				var s stash
				s.put("a", near)
				taken := s.take("a")
				got = taken != nil
				if got == c.want {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			equal(t, "handed out", got, c.want)
		})
	}
	near, far := net.Pipe()
	far.Close()
	equal(t, "a connection that cannot be asked: alive", alive(near), true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	conn.Close()
	equal(t, "a connection closed on this side: alive", alive(conn), false)
}

func TestCancelledRequestsLeaveNothing(t *testing.T) {
	noLeaks(t)
	addr, _ := reserve(t)
	ex := executorFunc(func(context.Context, *function.Function) ([]string, error) { return []string{addr}, nil })
	p := New(Options{})
	defer p.Close()
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(100))*time.Millisecond)
			defer cancel()
			if _, err := p.Acquire(ctx, &Call{Function: hello, Executor: ex}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
		})
	}
	wg.Wait()
	empty(t, p)
}
