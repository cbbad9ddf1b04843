package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestEarlyCloseOfAResponseClosesItsConnection(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			if _, _, alive := readRequest(br); !alive {
				return
			}
			io.WriteString(c, ok+"Content-Length: 5\r\n\r\nhello")
		}
	})
	tr := newTransport(t)
	resp, err := tr.RoundTrip(newRequest(t, "GET", s.addr, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, err := resp.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
		t.Errorf("reading after Close: got %v, want %v", err, http.ErrBodyReadAfterClose)
	}
	do(t, tr, newRequest(t, "GET", s.addr, nil))
	if got := s.accepted(); got != 2 {
		t.Errorf("connections: got %d, want 2", got)
	}
}

func TestRequestThatAsksForCloseClosesItsConnection(t *testing.T) {
	s := newRawServer(t, echo)
	tr := newTransport(t)
	for range 2 {
		req := newRequest(t, "GET", s.addr, nil)
		req.Close = true
		do(t, tr, req)
	}
	if got := s.accepted(); got != 2 {
		t.Errorf("connections: got %d, want 2", got)
	}
}

func TestConnectionIsFreeAtTheBodysEndBeforeClose(t *testing.T) {
	s := newRawServer(t, echo)
	tr := newTransport(t)
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "POST", s.addr, strings.NewReader("hello")))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		defer resp.Body.Close()
	}
	if got := s.accepted(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
}

func TestIdleConnectionsEndAfterTheIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int32
		tr := &Transport{IdleTimeout: time.Minute, Dial: func(context.Context, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				echo(0, server, bufio.NewReader(server))
				closed.Add(1)
			}()
			return client, nil
		}}
		get := func(addr string) { do(t, tr, mustRequest(t, addr)) }
		get("a")
		time.Sleep(30 * time.Second)
		get("b")
		time.Sleep(30*time.Second - time.Nanosecond)
		synctest.Wait()
		if got := closed.Load(); got != 0 {
			t.Fatalf("before the timeout: %d closed, want 0", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := closed.Load(); got != 1 {
			t.Fatalf("after the first timeout: %d closed, want 1", got)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := closed.Load(); got != 2 {
			t.Errorf("after the second timeout: %d closed, want 2", got)
		}
		if len(tr.idle.addrs) != 0 || tr.idle.sweep != nil {
			t.Errorf("left behind: addresses %v, timer %v", tr.idle.addrs, tr.idle.sweep)
		}
	})
}

func mustRequest(t *testing.T, addr string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestConnectionsCanBeDropped(t *testing.T) {
	inUse := func(t *testing.T, tr *Transport, addr string) *http.Response {
		resp, err := tr.RoundTrip(newRequest(t, "POST", addr, strings.NewReader("hello")))
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for _, c := range []struct {
		name   string
		change func(tr *Transport, addr string)
		before bool // already set before the first request
		want   int
	}{
		{"nothing dropped", func(*Transport, string) {}, false, 2},
		{"address", func(tr *Transport, addr string) { tr.CloseAddr(addr) }, false, 3},
		{"another address", func(tr *Transport, addr string) { tr.CloseAddr("127.0.0.1:1") }, false, 2},
		{"all idle", func(tr *Transport, addr string) { tr.CloseIdleConnections() }, false, 3},
		{"none kept", func(tr *Transport, addr string) { tr.MaxIdlePerAddr = -1 }, true, 3},
		{"one kept", func(tr *Transport, addr string) { tr.MaxIdlePerAddr = 1 }, true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newRawServer(t, echo)
			tr := newTransport(t)
			if c.before {
				c.change(tr, s.addr)
			}
			first, second := inUse(t, tr, s.addr), inUse(t, tr, s.addr)
			io.Copy(io.Discard, first.Body)
			if !c.before {
				c.change(tr, s.addr) // one connection is idle, one in use
			}
			io.Copy(io.Discard, second.Body)
			returned := second.Body.(*responseBody).x.c
			if stays := c.want == 2 && tr.MaxIdlePerAddr != 1; stays == returned.closed {
				t.Errorf("the connection that was in use is closed: got %v, want %v", returned.closed, !stays)
			}
			do(t, tr, newRequest(t, "GET", s.addr, nil))
			if got := s.accepted(); got != c.want {
				t.Errorf("connections: got %d, want %d", got, c.want)
			}
			tr.CloseIdleConnections()
			if len(tr.idle.addrs) != 0 {
				t.Errorf("addresses left behind: %v", tr.idle.addrs)
			}
		})
	}
}

func TestConnectionThatEndedOrSpokeWhileIdleIsNotReused(t *testing.T) {
	for name, idle := range map[string]func(net.Conn){
		"closed":              func(c net.Conn) { c.Close() },
		"half closed":         func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
		"reset":               func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
		"answer nobody asked": func(c net.Conn) { io.WriteString(c, ok+"Content-Length: 4\r\n\r\nevil") },
	} {
		t.Run(name, func(t *testing.T) {
			acted := make(chan struct{}, 1)
			s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
				req, _, _ := readRequest(br)
				io.WriteString(c, ok+"Content-Length: 5\r\n\r\nhello")
				if req != nil && req.Method == "GET" {
					idle(c)
					acted <- struct{}{}
				}
				br.ReadByte()
			})
			// Requests that are not repeated show that it is the look that helps.
			for body, streamed := range map[string]io.Reader{"no body": nil, "streamed body": track(strings.NewReader("x"))} {
				tr := newTransport(t)
				do(t, tr, newRequest(t, "GET", s.addr, nil))
				<-acted
				time.Sleep(10 * time.Millisecond) // loopback delivers within microseconds
				if _, got := do(t, tr, newRequest(t, "POST", s.addr, streamed)); got != "hello" {
					t.Errorf("%s: got %q, want hello", body, got)
				}
			}
		})
	}
}

// The server takes a second request on its first connection and closes without an
// answer, which the look at an idle connection cannot foresee.
func TestRequestsOnConnectionsThatDieUnderThemAreRepeatedOnlyIfSafe(t *testing.T) {
	for _, c := range []struct {
		name, method, field string
		body                func() io.Reader
		repeated            bool
	}{
		{name: "GET", method: "GET", repeated: true},
		{name: "OPTIONS", method: "OPTIONS", repeated: true},
		{name: "GET with a body that can be had again", method: "GET", body: rewindable, repeated: true},
		{name: "GET with a body that cannot", method: "GET", body: streamed},
		{name: "DELETE", method: "DELETE"},
		{name: "POST without a body", method: "POST"},
		{name: "POST with a body that can be had again", method: "POST", body: rewindable},
		{name: "POST with a streamed body", method: "POST", body: streamed},
		{name: "POST with a key", method: "POST", field: "Idempotency-Key", body: rewindable, repeated: true},
		{name: "POST with the other key", method: "POST", field: "X-Idempotency-Key", repeated: true},
		{name: "POST with a key and a streamed body", method: "POST", field: "Idempotency-Key", body: streamed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var served atomic.Int32
			s := newRawServer(t, func(n int, conn net.Conn, br *bufio.Reader) {
				for i := 1; ; i++ {
					_, body, alive := readRequest(br)
					if !alive {
						return
					}
					if served.Add(1); n == 1 && i == 2 {
						return
					}
					io.WriteString(conn, ok+"Transfer-Encoding: chunked\r\n\r\n1\r\n"+string('0'+rune(len(body)))+"\r\n0\r\n\r\n")
				}
			})
			tr := newTransport(t)
			do(t, tr, newRequest(t, "GET", s.addr, nil))
			var body io.Reader
			want := "0"
			if c.body != nil {
				body, want = c.body(), "5"
			}
			req := newRequest(t, c.method, s.addr, body)
			if c.field != "" {
				req.Header.Set(c.field, "1")
			}
			resp, err := tr.RoundTrip(req)
			if !c.repeated {
				var failed *Error
				if !errors.As(err, &failed) || !failed.Stale() || !failed.Written || failed.Addr != s.addr {
					t.Errorf("got %v, want a stale *Error for %s", err, s.addr)
				}
				if got := served.Load(); got != 2 {
					t.Errorf("the server saw %d requests, want 2", got)
				}
				return
			}
			if err != nil {
				t.Fatalf("RoundTrip: %v", err)
			}
			if b, _ := io.ReadAll(resp.Body); string(b) != want {
				t.Errorf("the repeated request had a body of %s bytes, want %s", b, want)
			}
		})
	}
}

func rewindable() io.Reader { return strings.NewReader("hello") }
func streamed() io.Reader   { return track(strings.NewReader("hello")) }

// brokenPipe is a connection that can be written to a set number of times.
type brokenPipe struct {
	net.Conn
	writes int
}

func (b *brokenPipe) Write(p []byte) (int, error) {
	if b.writes--; b.writes < 0 {
		return 0, net.ErrClosed
	}
	return b.Conn.Write(p)
}

func TestRequestOfWhichNothingWasWrittenIsRepeatedWhateverItsMethod(t *testing.T) {
	for name, body := range map[string]func() io.Reader{
		"no body": nil, "rewindable body": rewindable, "untouched streamed body": streamed,
	} {
		t.Run(name, func(t *testing.T) {
			s := newRawServer(t, echo)
			dials := 0
			tr := newTransport(t)
			tr.Dial = func(_ context.Context, addr string) (net.Conn, error) {
				dials++
				c, err := net.Dial("tcp", addr)
				return &brokenPipe{c, []int{1, 100}[dials-1]}, err
			}
			do(t, tr, newRequest(t, "GET", s.addr, nil))
			req := newRequest(t, "POST", s.addr, nil)
			want := ""
			if body != nil {
				req, want = newRequest(t, "POST", s.addr, body()), "hello"
			}
			if _, got := do(t, tr, req); got != want || dials != 2 {
				t.Errorf("got %q after %d dials, want %q after 2", got, dials, want)
			}
		})
	}
}

// A function that ends closes its connections before its listener.
func TestRequestThatWasRepeatedInVainIsStaleStill(t *testing.T) {
	s := newRawServer(t, func(n int, c net.Conn, br *bufio.Reader) {
		if n == 1 {
			readRequest(br)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		readRequest(br) // and dies
	})
	tr := newTransport(t)
	do(t, tr, newRequest(t, "GET", s.addr, nil))
	_, err := tr.RoundTrip(newRequest(t, "GET", s.addr, nil))
	var failed *Error
	if !errors.As(err, &failed) || failed.Reused || !failed.Repeated || !failed.Stale() {
		t.Errorf("got %#v, want an *Error of a new connection that is stale, since a kept one died before", err)
	}
	if got := s.accepted(); got != 2 {
		t.Errorf("got %d connections, want 2", got)
	}
}

func TestFailuresOnNewConnectionsAreReturned(t *testing.T) {
	for _, c := range []struct {
		name     string
		answer   string
		answered bool
		want     error
	}{
		{"closed without an answer", "", false, io.EOF},
		{"closed within the head", "HTTP/1.1 200 OK\r\nX: y\r\n", true, io.ErrUnexpectedEOF},
		{"head too long", ok + "X: " + strings.Repeat("a", 20000), true, ErrHeadTooLong},
		{"informational responses too long", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000), true, ErrHeadTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				readRequest(br)
				io.WriteString(conn, c.answer)
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, br)
			})
			tr := newTransport(t)
			tr.MaxHeaderBytes = 10000
			_, err := tr.RoundTrip(newRequest(t, "GET", s.addr, nil))
			var failed *Error
			if !errors.As(err, &failed) || failed.Reused || !failed.Written || failed.Answered != c.answered || !errors.Is(err, c.want) {
				t.Errorf("got %#v, want answered %v and %v", err, c.answered, c.want)
			}
		})
	}
}

func TestDialErrorsAreReturnedAsTheyAre(t *testing.T) {
	refused := errors.New("refused")
	tr := newTransport(t)
	tr.Dial = func(_ context.Context, addr string) (net.Conn, error) {
		if addr != "[::1]:80" {
			t.Errorf("dialed %q, want [::1]:80", addr)
		}
		return nil, refused
	}
	body := track(bytes.NewReader(nil))
	if _, err := tr.RoundTrip(newRequest(t, "POST", "[::1]", body)); err != refused {
		t.Errorf("got %v, want %v itself", err, refused)
	}
	body.mustClose(t)
}
