package h1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUpgradeHandsTheConnectionOver(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		readRequest(br)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nearly ")
		io.Copy(c, br)
		io.WriteString(c, " bye")
	})
	ctx, cancel := context.WithCancel(t.Context())
	req := newRequest(t, "GET", s.addr, nil).WithContext(ctx)
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}
	tr := newTransport(t)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()                         // the context ends with the handler that hijacked
	time.Sleep(pollInterval * 3 / 2) // a read deadline left behind would have passed
	rw, can := resp.Body.(io.ReadWriteCloser)
	if !can || resp.StatusCode != 101 {
		t.Fatalf("status %d with a %T, want 101 with an io.ReadWriteCloser", resp.StatusCode, resp.Body)
	}
	io.WriteString(rw, "hello")
	if err := rw.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
	if got, err := io.ReadAll(rw); string(got) != "early hello bye" || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, "early hello bye")
	}
	if len(tr.idle.addrs) != 0 {
		t.Errorf("the pool still counts the connection: %v", tr.idle.addrs)
	}
}

func TestCloseWriteOfAConnectionThatCannot(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := (&upgraded{Conn: a}).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("got %v, want %v", err, http.ErrNotSupported)
	}
}

func TestTraceSeesTheRequestsCourse(t *testing.T) {
	s := newRawServer(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			if _, _, alive := readRequest(br); !alive {
				return
			}
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+ok+"Content-Length: 0\r\n\r\n")
		}
	})
	var events []string
	var note httptrace.ClientTrace
	note.GetConn = func(string) { events = append(events, "get") }
	note.GotConn = func(i httptrace.GotConnInfo) {
		events = append(events, map[bool]string{false: "new", true: "kept"}[i.Reused])
	}
	note.WroteRequest = func(i httptrace.WroteRequestInfo) { events = append(events, "wrote") }
	note.GotFirstResponseByte = func() { events = append(events, "byte") }
	note.Got1xxResponse = func(code int, h textproto.MIMEHeader) error {
		events = append(events, http.StatusText(code)+h.Get("Link"))
		return nil
	}
	note.PutIdleConn = func(error) { events = append(events, "put") }
	tr := newTransport(t)
	req := newRequest(t, "POST", s.addr, strings.NewReader("hello"))
	ctx := httptrace.WithClientTrace(req.Context(), &note)
	do(t, tr, req.WithContext(ctx))
	do(t, tr, newRequest(t, "GET", s.addr, nil).WithContext(ctx))
	want := strings.Split("get new wrote byte Early Hints</a> put get kept wrote byte Early Hints</a> put", " ")
	if got := strings.Split(strings.Join(events, " "), " "); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}

	// Whoever sees informational responses is trusted to limit their number.
	tr.MaxHeaderBytes = int64(len("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+ok+"Content-Length: 0\r\n\r\n") - 1)
	do(t, tr, newRequest(t, "GET", s.addr, nil).WithContext(ctx))

	stop := errors.New("stop")
	note.Got1xxResponse = func(int, textproto.MIMEHeader) error { return stop }
	if _, err := tr.RoundTrip(newRequest(t, "GET", s.addr, nil).WithContext(ctx)); err != stop {
		t.Errorf("got %v, want the hook's error", err)
	}
}
