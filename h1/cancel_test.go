package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// deaf reads a request's head and then does nothing until the client leaves. A server
// that reads nothing more than that also stalls whoever writes.
func deaf(_ int, _ net.Conn, br *bufio.Reader) {
	br.ReadString('\n')
	io.Copy(io.Discard, br)
}

func TestEndOfTheContextInterruptsEveryWait(t *testing.T) {
	noGoroutinesLeft(t)
	stalled := func(_ int, c net.Conn, br *bufio.Reader) {
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		br.ReadString('\n')
		time.Sleep(20 * time.Millisecond) // let the client fill every buffer
		buf := make([]byte, 1)
		for {
			if _, err := br.Read(buf); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	half := func(head string) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, br *bufio.Reader) {
			readRequest(br)
			io.WriteString(c, head)
			io.Copy(io.Discard, br)
		}
	}
	pipe := func() io.Reader { r, _ := io.Pipe(); return r }
	for _, c := range []struct {
		name   string
		server func(int, net.Conn, *bufio.Reader)
		body   io.Reader
	}{
		{"no answer", deaf, nil},
		{"half a head", half("HTTP/1.1 200 OK\r\nContent-"), nil},
		{"informational response only", half("HTTP/1.1 103 Early Hints\r\n\r\n"), nil},
		{"half a body", half(ok + "Content-Length: 10\r\n\r\nhello"), nil},
		{"half a chunk", half(ok + "Transfer-Encoding: chunked\r\n\r\na\r\nhello"), nil},
		{"body without a length", half(ok + "\r\nhello"), nil},
		{"request body not coming", deaf, pipe()},
		{"request body not taken", stalled, track(endless{})},
		{"request body in memory not taken", stalled, bytes.NewReader(make([]byte, 64<<10))},
	} {
		for _, deadline := range []bool{false, true} {
			name, want := c.name+", cancelled", context.Canceled
			if deadline {
				name, want = c.name+", deadline", context.DeadlineExceeded
			}
			if deadline && c.body != nil {
				continue // a body serves once
			}
			t.Run(name, func(t *testing.T) {
				s := newRawServer(t, c.server)
				ctx, cancel := context.WithCancel(t.Context())
				if deadline {
					ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
				} else {
					time.AfterFunc(30*time.Millisecond, cancel)
				}
				defer cancel()
				req := newRequest(t, "POST", s.addr, c.body).WithContext(ctx)
				tr := newTransport(t)
				tr.Dial = func(_ context.Context, addr string) (net.Conn, error) {
					return net.Dial("tcp", addr) // not the wait that is looked at here
				}
				resp, err := tr.RoundTrip(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err != want {
					t.Errorf("got %v, want %v itself", err, want)
				}
			})
		}
	}
}

// In a bubble the clock shows exactly when the wait ended.
func TestCancellationIsNoticedWithinThePollInterval(t *testing.T) {
	for _, after := range []time.Duration{time.Millisecond, pollInterval + time.Millisecond, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			go io.Copy(io.Discard, server)
			defer server.Close()
			tr := &Transport{Dial: dialTo(client)}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://fn/", nil)
			start := time.Now()
			_, err := tr.RoundTrip(req)
			late := time.Since(start) - after
			if limit := pollInterval; err != context.Canceled || late > limit {
				t.Errorf("cancelled after %v: got %v, %v late; want at most %v", after, err, late, limit)
			}
			if after > pollInterval && late > 0 {
				t.Errorf("cancelled after %v: noticed %v late, want at once", after, late)
			}
		})
	}
}

func TestDeadlineIsKeptToTheMoment(t *testing.T) {
	for _, timeout := range []time.Duration{time.Millisecond, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			go io.Copy(io.Discard, server)
			defer server.Close()
			tr := &Transport{Dial: dialTo(client)}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://fn/", nil)
			start := time.Now()
			if _, err := tr.RoundTrip(req); err != context.DeadlineExceeded || time.Since(start) != timeout {
				t.Errorf("got %v after %v, want %v after %v", err, time.Since(start), context.DeadlineExceeded, timeout)
			}
		})
	}
}

func TestSlowResponsesAreReadWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		go func() {
			readRequest(bufio.NewReader(server))
			for _, b := range []byte(ok + "Content-Length: 5\r\n\r\nhello") {
				time.Sleep(pollInterval + time.Second)
				server.Write([]byte{b})
			}
		}()
		defer server.Close()
		tr := &Transport{Dial: dialTo(client)}
		defer tr.CloseIdleConnections()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://fn/", nil)
		if _, got := do(t, tr, req); got != "hello" {
			t.Errorf("got %q, want hello", got)
		}
	})
}

func TestSlowReaderGetsTheWholeResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		go func() {
			readRequest(bufio.NewReader(server))
			io.WriteString(server, ok+"Content-Length: 10000\r\n\r\n"+string(make([]byte, 10000)))
		}()
		defer server.Close()
		tr := &Transport{Dial: dialTo(client)}
		defer tr.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://fn/", nil)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		n, buf := 0, make([]byte, 100)
		for err == nil {
			time.Sleep(pollInterval)
			var m int
			m, err = resp.Body.Read(buf)
			n += m
		}
		if n != 10000 || err != io.EOF {
			t.Errorf("got %d bytes, %v; want 10000 and EOF", n, err)
		}
	})
}

func TestContextThatHasEndedNeverReachesAConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tr := newTransport(t)
	tr.Dial = dialTo(nil)
	body := track(bytes.NewReader(nil))
	req := newRequest(t, "POST", "fn", body).WithContext(ctx)
	if _, err := tr.RoundTrip(req); err != context.Canceled {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	body.mustClose(t)
}

// A registration with the context must not outlive its request: here it would set
// a deadline on a connection that serves another one.
func TestCancellingAnEndedRequestDoesNotTouchItsConnection(t *testing.T) {
	s := newRawServer(t, echo)
	tr := newTransport(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		do(t, tr, newRequest(t, "POST", s.addr, bytes.NewReader(make([]byte, 32<<10))).WithContext(ctx))
		cancel()
	}
	if got := s.accepted(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
}

// Once the context has ended, its registration may be at work on the connection.
func TestConnectionWhoseContextEndedIsNotReused(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			if _, _, alive := readRequest(br); !alive {
				return
			}
			io.WriteString(c, ok+"Content-Length: 5\r\n\r\nhello")
		}
	})
	tr := newTransport(t)
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := tr.RoundTrip(newRequest(t, "GET", s.addr, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.(*responseBody).x.c.watch() // as a longer request would have done
	cancel()
	if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
		t.Errorf("what was buffered: got %q, %v; want hello", b, err)
	}
	if tr.idle.pop(s.addr) != nil {
		t.Error("the connection was kept")
	}
}

func TestClosingTheBodyWhileItIsReadEndsTheRead(t *testing.T) {
	gone := make(chan struct{})
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		readRequest(br)
		io.WriteString(c, ok+"Content-Length: 10\r\n\r\nhello")
		io.Copy(io.Discard, br)
		close(gone)
	})
	resp, err := newTransport(t).RoundTrip(newRequest(t, "GET", s.addr, nil))
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(resp.Body, make([]byte, 5))
	failed := make(chan error, 1)
	go func() {
		_, err := resp.Body.Read(make([]byte, 5))
		failed <- err
	}()
	resp.Body.Close()
	if err := <-failed; !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("got %v, want %v", err, http.ErrBodyReadAfterClose)
	}
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("the connection is still open")
	}
}
