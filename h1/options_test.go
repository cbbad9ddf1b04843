package h1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// silent answers part of what it was told to, and then nothing more.
func silent(t *testing.T, answer string) *rawServer {
	t.Helper()
	return newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if _, _, ok := readRequest(br); ok {
			_, _ = io.WriteString(c, answer)
			_, _ = io.Copy(io.Discard, br) // until the client closes
		}
	})
}

func TestHeadTimeoutEndsTheWaitForTheHead(t *testing.T) {
	for name, answer := range map[string]string{
		"no byte":                   "",
		"half a head":               "HTTP/1.1 200 OK\r\nContent-Le",
		"an informational one only": "HTTP/1.1 103 Early Hints\r\n\r\n",
	} {
		for _, timeout := range []time.Duration{30 * time.Millisecond, 250 * time.Millisecond} {
			t.Run(name+" "+timeout.String(), func(t *testing.T) {
				s := silent(t, answer)
				began := time.Now()
				_, err := newTransport(t).RoundTripWith(mustRequest(t, s.addr), Options{HeadTimeout: timeout})
				if !errors.Is(err, ErrHeadTimeout) {
					t.Fatalf("the error is %v, want ErrHeadTimeout", err)
				}
				if took := time.Since(began); took < timeout {
					t.Errorf("it took %v, want at least %v", took, timeout)
				}
			})
		}
	}
}

func TestHeadTimeoutOnAKeptConnectionIsNotRepeated(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for n := 1; ; n++ {
			if _, _, ok := readRequest(br); !ok {
				return
			}
			if n == 1 {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}
	})
	tr := newTransport(t)
	if _, err := tr.RoundTripWith(mustRequest(t, s.addr), Options{HeadTimeout: time.Minute}); err != nil {
		t.Fatal(err)
	}
	_, err := tr.RoundTripWith(mustRequest(t, s.addr), Options{HeadTimeout: 50 * time.Millisecond})
	if !errors.Is(err, ErrHeadTimeout) {
		t.Fatalf("the error is %v, want ErrHeadTimeout", err)
	}
	if n := s.accepted(); n != 1 {
		t.Errorf("%d connections were made, want 1: the request may have run", n)
	}
}

func TestHeadTimeoutDoesNotBoundTheBody(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if _, _, ok := readRequest(br); ok {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
			time.Sleep(300 * time.Millisecond)
			_, _ = io.WriteString(c, "late")
		}
	})
	resp, err := newTransport(t).RoundTripWith(mustRequest(t, s.addr), Options{HeadTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "late" {
		t.Errorf("the body is %q, %v; want it whole", b, err)
	}
}

func TestHeadTimeoutEndsAnUploadThatNobodyReads(t *testing.T) {
	s := newRawServer(t, func(_ int, _ net.Conn, _ *bufio.Reader) { time.Sleep(2 * time.Second) })
	for name, body := range map[string]io.Reader{
		"in memory": strings.NewReader(strings.Repeat("x", 60<<10)),
		"streamed":  io.LimitReader(track(strings.NewReader(strings.Repeat("x", 32<<20))), 32<<20),
	} {
		t.Run(name, func(t *testing.T) {
			req := newRequest(t, http.MethodPost, s.addr, body)
			if _, err := newTransport(t).RoundTripWith(req, Options{HeadTimeout: 100 * time.Millisecond}); !errors.Is(err, ErrHeadTimeout) {
				t.Errorf("the error is %v, want ErrHeadTimeout", err)
			}
		})
	}
}

// drip is a body that gives a byte at a time, with a pause before each; at its end
// it says so, or says nothing any more until it is closed.
func drip(t *testing.T, n int, pause time.Duration, end bool) io.ReadCloser {
	r, w := io.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	t.Cleanup(func() { r.Close() })
	go func() {
		defer close(done)
		for range n {
			time.Sleep(pause)
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
		}
		if end {
			w.Close()
		}
	}()
	return r
}

func TestHeadTimeoutBeginsAnewWithEachPieceOfTheBody(t *testing.T) {
	const pieces, pause, timeout = 12, 100 * time.Millisecond, 900 * time.Millisecond
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if _, body, ok := readRequest(br); ok && body == strings.Repeat("x", pieces) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	for name, length := range map[string]int64{"chunked": -1, "of known length": pieces} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := newRequest(t, http.MethodPost, s.addr, drip(t, pieces, pause, true))
			req.ContentLength = length
			resp, err := newTransport(t).RoundTripWith(req, Options{HeadTimeout: timeout})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
	}
}

func TestHeadTimeoutEndsTheSilenceAfterASlowUpload(t *testing.T) {
	s := silent(t, "")
	req := newRequest(t, http.MethodPost, s.addr, drip(t, 3, 50*time.Millisecond, true))
	if _, err := newTransport(t).RoundTripWith(req, Options{HeadTimeout: 300 * time.Millisecond}); !errors.Is(err, ErrHeadTimeout) {
		t.Errorf("the error is %v, want ErrHeadTimeout", err)
	}
}

func TestABodyThatStallsIsToBlameItself(t *testing.T) {
	noGoroutinesLeft(t)
	s := silent(t, "")
	for name, length := range map[string]int64{"chunked": -1, "of known length": 10} {
		t.Run(name, func(t *testing.T) {
			req := newRequest(t, http.MethodPost, s.addr, drip(t, 2, time.Millisecond, false))
			req.ContentLength = length
			_, err := newTransport(t).RoundTripWith(req, Options{HeadTimeout: 200 * time.Millisecond})
			var own *BodyError
			if !errors.As(err, &own) || !errors.Is(err, ErrBodyStalled) {
				t.Errorf("the error is %v, want a *BodyError with ErrBodyStalled", err)
			}
		})
	}
}

func TestABodyThatIsSilentForTooLongEnds(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		if _, _, ok := readRequest(br); !ok {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range 4 {
			time.Sleep(150 * time.Millisecond)
			_, _ = io.WriteString(c, "1\r\nx\r\n")
		}
		_, _ = io.Copy(io.Discard, br)
	})
	resp, err := newTransport(t).RoundTrip(mustRequest(t, s.addr))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.(interface{ SetIdleTimeout(time.Duration) }).SetIdleTimeout(400 * time.Millisecond)
	b, err := io.ReadAll(resp.Body)
	if string(b) != "xxxx" || !errors.Is(err, ErrBodyIdle) {
		t.Errorf("the body is %q, %v; want xxxx and then ErrBodyIdle", b, err)
	}
}

func TestInformationalResponsesAreTold(t *testing.T) {
	s := silent(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	var told []string
	_, err := newTransport(t).RoundTripWith(mustRequest(t, s.addr), Options{Informational: func(code int, h http.Header) error {
		told = append(told, http.StatusText(code)+h.Get("Link"))
		return nil
	}})
	if err != nil || len(told) != 1 || told[0] != "Early Hints</a>" {
		t.Errorf("told of %q, %v; want the early hints alone", told, err)
	}
	stop := errors.New("enough")
	_, err = newTransport(t).RoundTripWith(mustRequest(t, s.addr), Options{Informational: func(int, http.Header) error { return stop }})
	if !errors.Is(err, stop) {
		t.Errorf("the error is %v, want the one that Informational returned", err)
	}
}
