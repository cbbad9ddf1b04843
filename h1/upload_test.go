package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// echo answers every request with its body and its trailer.
func echo(_ int, c net.Conn, br *bufio.Reader) {
	for {
		req, body, alive := readRequest(br)
		if !alive {
			return
		}
		fmt.Fprintf(c, "%sTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n", ok)
		if body != "" {
			fmt.Fprintf(c, "%x\r\n%s\r\n", len(body), body)
		}
		fmt.Fprintf(c, "0\r\nX-Sum: %s\r\n\r\n", req.Trailer.Get("X-Sum"))
	}
}

func TestBodiesOfAllKindsArriveWholeAndKeepTheConnection(t *testing.T) {
	noGoroutinesLeft(t)
	s := newRawServer(t, echo)
	tr := newTransport(t)
	for _, kind := range []struct {
		name string
		wrap func(string) io.Reader
		most int // bytes
	}{
		{"in memory", func(d string) io.Reader { return strings.NewReader(d) }, 1 << 20},
		{"streamed", func(d string) io.Reader { return track(strings.NewReader(d)) }, 1 << 20},
		{"streamed a byte at a time", func(d string) io.Reader { return track(iotest.OneByteReader(strings.NewReader(d))) }, 4 << 10},
		{"EOF with the last bytes", func(d string) io.Reader { return track(iotest.DataErrReader(strings.NewReader(d))) }, 1 << 20},
		{"declared buffered", func(d string) io.Reader { return buffered{strings.NewReader(d)} }, 1 << 20},
		{"declared buffered, read only", func(d string) io.Reader { return bufferedReader{track(strings.NewReader(d))} }, 1 << 20},
	} {
		for _, size := range []int{1, 4 << 10, 32 << 10, 64 << 10, 64<<10 + 1, 1 << 20} {
			for _, known := range []bool{true, false} {
				if size > kind.most {
					continue
				}
				want := strings.Repeat("0123456789abcdef", size/16+1)[:size]
				req := newRequest(t, "POST", s.addr, kind.wrap(want))
				req.ContentLength = -1
				if known {
					req.ContentLength = int64(size)
				}
				if _, got := do(t, tr, req); got != want {
					t.Errorf("%s, %d bytes, length known %v: got %d other bytes back", kind.name, size, known, len(got))
				}
			}
		}
	}
	if got := s.accepted(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
}

// bufferedReader says that it is in memory, but can only be read.
type bufferedReader struct{ *trackedBody }

func (bufferedReader) Buffered() bool { return true }

type buffered struct{ *strings.Reader }

func (buffered) Buffered() bool { return true }
func (buffered) Close() error   { return nil }

func TestTrailersTravelBothWays(t *testing.T) {
	s := newRawServer(t, echo)
	req := newRequest(t, "POST", s.addr, nil)
	req.Trailer = http.Header{"X-Sum": nil}
	req.ContentLength = -1
	req.Body = track(io.MultiReader(strings.NewReader("hello"), readFunc(func([]byte) (int, error) {
		req.Trailer.Set("X-Sum", "42") // known once the body has been read, as in a server's request
		return 0, io.EOF
	})))
	resp, body := do(t, newTransport(t), req)
	if got := resp.Trailer.Get("X-Sum"); body != "hello" || got != "42" {
		t.Errorf("body %q, trailer %q; want hello and 42", body, got)
	}
}

func TestTrailerValuesFilledInLateAreChecked(t *testing.T) {
	s := newRawServer(t, echo)
	req := newRequest(t, "POST", s.addr, nil)
	req.Trailer = http.Header{"X-Sum": nil}
	req.ContentLength = -1
	req.Body = track(readFunc(func([]byte) (int, error) {
		req.Trailer["X-Sum"] = []string{"1\r\n\r\nGET /evil HTTP/1.1"}
		return 0, io.EOF
	}))
	_, err := newTransport(t).RoundTrip(req)
	if !errors.Is(err, ErrInvalidRequest) {
		t.Errorf("got %v, want an error that wraps %v", err, ErrInvalidRequest)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func TestEarlyResponseToALargeUpload(t *testing.T) {
	noGoroutinesLeft(t)
	for _, c := range []struct {
		name   string
		closes bool // the server closes after its answer
		length int64
	}{
		{"server stays and does not read on", false, 1 << 40},
		{"server stays and does not read on, chunked", false, -1},
		{"server closes with bytes unread", true, 1 << 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			release := make(chan struct{})
			s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				br.ReadString('\n')
				io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
				if c.closes {
					conn.(*net.TCPConn).CloseWrite()
				}
				<-release
			})
			defer close(release)
			body := track(endless{})
			req := newRequest(t, "POST", s.addr, body)
			req.ContentLength = c.length
			resp, got := do(t, newTransport(t), req)
			if resp.StatusCode != 413 || got != "big" {
				t.Errorf("got %d %q, want 413 big", resp.StatusCode, got)
			}
			body.mustClose(t)
		})
	}
}

func TestEarlyResponseToASmallBodyIsReturnedAlthoughTheServerCloses(t *testing.T) {
	s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		io.WriteString(conn, "HTTP/1.1 429 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy")
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, br)
	})
	resp, got := do(t, newTransport(t), newRequest(t, "POST", s.addr, bytes.NewReader(make([]byte, 64<<10))))
	if resp.StatusCode != 429 || got != "busy" {
		t.Errorf("got %d %q, want 429 busy", resp.StatusCode, got)
	}
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestResponseIsReadWhileTheRequestIsStillWritten(t *testing.T) {
	noGoroutinesLeft(t)
	s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "%sTransfer-Encoding: chunked\r\n\r\n", ok)
		buf := make([]byte, 100)
		for {
			n, err := req.Body.Read(buf)
			if n > 0 {
				fmt.Fprintf(conn, "%x\r\n%s\r\n", n, buf[:n])
			}
			if err != nil {
				io.WriteString(conn, "0\r\n\r\n")
				break
			}
		}
		if _, _, alive := readRequest(br); alive {
			io.WriteString(conn, ok+"Content-Length: 0\r\n\r\n")
		}
	})
	tr := newTransport(t)
	in, out := io.Pipe()
	resp, err := tr.RoundTrip(newRequest(t, "POST", s.addr, in))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for i := range 5 {
		msg := fmt.Sprint("message ", i)
		io.WriteString(out, msg)
		n, err := io.ReadFull(resp.Body, buf[:len(msg)])
		if err != nil || string(buf[:n]) != msg {
			t.Fatalf("got %q, %v; want %q", buf[:n], err, msg)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("at the end: got %q, %v", rest, err)
	}
	resp.Body.Close()
	do(t, tr, newRequest(t, "GET", s.addr, nil))
	if s.accepted() != 1 {
		t.Errorf("%d connections, want 1", s.accepted())
	}
}

func TestClosingTheResponseEndsAnUploadThatWaitsForItsBody(t *testing.T) {
	noGoroutinesLeft(t)
	s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
		br.ReadString('\n')
		io.WriteString(conn, ok+"Content-Length: 0\r\n\r\n")
		io.Copy(io.Discard, br)
	})
	in, _ := io.Pipe()
	body := track(in)
	resp, err := newTransport(t).RoundTrip(newRequest(t, "POST", s.addr, body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	body.mustClose(t)
}

func TestClientLeavingMidBodyIsReportedAsTheBodysError(t *testing.T) {
	noGoroutinesLeft(t)
	gone := errors.New("client went away")
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		want   error
	}{
		"error, length known":          {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(gone)), 100, gone},
		"error, chunked":               {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(gone)), -1, gone},
		"body too short":               {strings.NewReader("half"), 100, io.ErrUnexpectedEOF},
		"body too short, buffered":     {buffered{strings.NewReader("half")}, 100, io.ErrUnexpectedEOF},
		"body too long":                {strings.NewReader("more than enough"), 4, nil},
		"body too long, buffered":      {buffered{strings.NewReader("more than enough")}, 4, nil},
		"body too long, in one piece":  {buffered{strings.NewReader(strings.Repeat("x", 20<<10))}, 10 << 10, nil},
		"body too long, and very long": {bytes.NewReader(make([]byte, 1<<20)), 1 << 10, nil},
	} {
		t.Run(name, func(t *testing.T) {
			surplus := make(chan string, 1)
			s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				readRequest(br)
				rest, _ := io.ReadAll(br)
				surplus <- string(rest)
			})
			req := newRequest(t, "POST", s.addr, nil)
			body := track(c.body)
			req.Body, req.ContentLength = body, c.length
			if b, ok := c.body.(buffered); ok {
				req.Body = b
			}
			_, err := newTransport(t).RoundTrip(req)
			var own *BodyError
			if !errors.As(err, &own) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want a *BodyError of %v", err, c.want)
			}
			if got := <-surplus; got != "" {
				t.Errorf("%d bytes were sent behind the body: %.20q", len(got), got)
			}
		})
	}
}

func TestExpectContinue(t *testing.T) {
	noGoroutinesLeft(t)
	for _, c := range []struct {
		name     string
		answers  []string // before the body is read, after it
		wantBody string   // what the server reads
		want     int
		conns    int // after a second request
	}{
		{"continued", []string{"HTTP/1.1 100 Continue\r\n\r\n", ok + "Content-Length: 0\r\n\r\n"}, "hello", 200, 1},
		{"refused with close", []string{"HTTP/1.1 417 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", ""}, "", 417, 2},
		{"refused without close", []string{"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", ""}, "hello", 401, 1},
		{"silent", []string{"", ok + "Content-Length: 0\r\n\r\n"}, "hello", 200, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bodies := make(chan string, 2)
			s := newRawServer(t, func(_ int, conn net.Conn, br *bufio.Reader) {
				for {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					if req.Header.Get("Expect") == "" {
						io.WriteString(conn, ok+"Content-Length: 0\r\n\r\n")
						continue
					}
					io.WriteString(conn, c.answers[0])
					b, _ := io.ReadAll(req.Body)
					bodies <- string(b)
					io.WriteString(conn, c.answers[1])
				}
			})
			tr := newTransport(t)
			if c.name == "silent" {
				tr.ExpectContinueTimeout = time.Millisecond
			} else {
				tr.ExpectContinueTimeout = patience
			}
			body := track(strings.NewReader("hello"))
			req := newRequest(t, "POST", s.addr, body)
			req.ContentLength = 5
			req.Header.Set("Expect", "100-continue")
			resp, _ := do(t, tr, req)
			if resp.StatusCode != c.want {
				t.Errorf("status: got %d, want %d", resp.StatusCode, c.want)
			}
			body.mustClose(t)
			if got := <-bodies; got != c.wantBody {
				t.Errorf("body: got %q, want %q", got, c.wantBody)
			}
			do(t, tr, newRequest(t, "GET", s.addr, nil))
			if got := s.accepted(); got != c.conns {
				t.Errorf("connections: got %d, want %d", got, c.conns)
			}
		})
	}
}

// dialTo returns a Dial that succeeds once.
func dialTo(c net.Conn) func(context.Context, string) (net.Conn, error) {
	return func(context.Context, string) (net.Conn, error) {
		if c == nil {
			return nil, errors.New("dialed without need")
		}
		once := c
		c = nil
		return once, nil
	}
}
