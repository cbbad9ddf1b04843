package h1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of a test that is about to fail.
const patience = 10 * time.Second

// rawServer accepts connections on loopback and hands each to serve, numbered from 1.
type rawServer struct {
	addr  string
	mu    sync.Mutex
	conns int
}

func newRawServer(t testing.TB, serve func(n int, c net.Conn, br *bufio.Reader)) *rawServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			n := s.conns
			s.mu.Unlock()
			open.Store(c, nil)
			wg.Go(func() {
				defer c.Close()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

func (s *rawServer) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// readRequest reads one request with its body; ok is false at the connection's end.
func readRequest(br *bufio.Reader) (req *http.Request, body string, ok bool) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return nil, "", false
	}
	b, err := io.ReadAll(req.Body)
	return req, string(b), err == nil
}

func newTransport(t testing.TB) *Transport {
	tr := &Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func newRequest(t testing.TB, method, addr string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, "http://"+addr+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// do sends a request and reads the response to its end.
func do(t testing.TB, rt http.RoundTripper, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	resp.Body.Close()
	return resp, string(b)
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// noGoroutinesLeft fails if goroutines of this package's client code survive the test.
// It must be called before anything else registers a cleanup that they wait for.
func noGoroutinesLeft(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		eventually(t, "no goroutine of an upload is left", func() bool {
			buf := make([]byte, 1<<20)
			return !strings.Contains(string(buf[:runtime.Stack(buf, true)]), "startUpload")
		})
	})
}

// trackedBody tells whether it was closed.
type trackedBody struct {
	io.Reader
	once   sync.Once
	closed chan struct{}
}

func track(r io.Reader) *trackedBody { return &trackedBody{Reader: r, closed: make(chan struct{})} }

func (b *trackedBody) Close() error {
	b.once.Do(func() {
		if c, ok := b.Reader.(io.Closer); ok {
			c.Close()
		}
		close(b.closed)
	})
	return nil
}

func (b *trackedBody) mustClose(t testing.TB) {
	t.Helper()
	select {
	case <-b.closed:
	case <-time.After(patience):
		t.Error("the request body was not closed")
	}
}
