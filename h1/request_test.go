package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// wire returns what a request looks like to a server that answers at once.
func wire(t *testing.T, req *http.Request) string {
	t.Helper()
	client, server := net.Pipe()
	got := make(chan string, 1)
	go func() {
		var seen bytes.Buffer
		br := bufio.NewReader(io.TeeReader(server, &seen))
		_, _, alive := readRequest(br)
		io.WriteString(server, ok+"Content-Length: 0\r\n\r\n")
		server.Close()
		if !alive {
			t.Errorf("not a request: %q", seen.String())
		}
		got <- seen.String()
	}()
	tr := newTransport(t)
	tr.Dial = dialTo(client)
	do(t, tr, req)
	return <-got
}

func TestRequestsAreWrittenAsGiven(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"nothing is invented", func(*http.Request) {}, "GET / HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"empty method is GET", func(r *http.Request) { r.Method = "" }, "GET / HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"host of the request", func(r *http.Request) { r.Host = "shop.example" }, "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"},
		{"host with a slash is sent empty", func(r *http.Request) { r.Host = "/run/x.sock" }, "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
		{"zone of an IPv6 host is dropped", func(r *http.Request) { r.Host = "[fe80::1%eth0]:80" }, "GET / HTTP/1.1\r\nHost: [fe80::1]:80\r\n\r\n"},
		{"path and query", func(r *http.Request) { r.URL, _ = url.Parse("http://fn:80/a%2Fb/c?x=1&y=%20") }, "GET /a%2Fb/c?x=1&y=%20 HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"forced query", func(r *http.Request) { r.URL.ForceQuery = true }, "GET /? HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"empty path", func(r *http.Request) { r.URL.Path = "" }, "GET / HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"opaque", func(r *http.Request) { r.URL.Opaque = "//other/x" }, "GET http://other/x HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"OPTIONS *", func(r *http.Request) { r.Method, r.URL.Path = "OPTIONS", "*" }, "OPTIONS * HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"values are trimmed", func(r *http.Request) { r.Header["X-A"] = []string{" \tone two\t "} }, "GET / HTTP/1.1\r\nHost: fn:80\r\nX-A: one two\r\n\r\n"},
		{"user agent", func(r *http.Request) { r.Header["User-Agent"] = []string{"ua"} }, "GET / HTTP/1.1\r\nHost: fn:80\r\nUser-Agent: ua\r\n\r\n"},
		{"empty user agent is not sent", func(r *http.Request) { r.Header["User-Agent"] = []string{""} }, "GET / HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"framing fields of the header map are not sent", func(r *http.Request) {
			r.Header = http.Header{
				"Content-Length": {"5"}, "transfer-encoding": {"chunked"}, "host": {"evil"}, "TRAILER": {"X"}, "user-agent": {"x"},
			}
		}, "GET / HTTP/1.1\r\nHost: fn:80\r\n\r\n"},
		{"close", func(r *http.Request) { r.Close = true }, "GET / HTTP/1.1\r\nHost: fn:80\r\nConnection: close\r\n\r\n"},
		{"POST without a body has a length", func(r *http.Request) { r.Method = "POST" }, "POST / HTTP/1.1\r\nHost: fn:80\r\nContent-Length: 0\r\n\r\n"},
		{"POST with http.NoBody", func(r *http.Request) { r.Method, r.Body = "POST", http.NoBody }, "POST / HTTP/1.1\r\nHost: fn:80\r\nContent-Length: 0\r\n\r\n"},
		{"body of known length", func(r *http.Request) {
			r.Method, r.ContentLength, r.Body = "POST", 5, io.NopCloser(strings.NewReader("hello"))
		}, "POST / HTTP/1.1\r\nHost: fn:80\r\nContent-Length: 5\r\n\r\nhello"},
		{"body of known length, not in memory", func(r *http.Request) {
			r.Method, r.ContentLength, r.Body = "PUT", 5, track(strings.NewReader("hello"))
		}, "PUT / HTTP/1.1\r\nHost: fn:80\r\nContent-Length: 5\r\n\r\nhello"},
		{"body of unknown length", func(r *http.Request) {
			r.Method, r.ContentLength, r.Body = "POST", -1, track(strings.NewReader("hello"))
		}, "POST / HTTP/1.1\r\nHost: fn:80\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"chunked although the length is known", func(r *http.Request) {
			r.Method, r.ContentLength, r.Body = "POST", 5, io.NopCloser(strings.NewReader("hello"))
			r.TransferEncoding = []string{"chunked"}
		}, "POST / HTTP/1.1\r\nHost: fn:80\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := newRequest(t, "GET", "fn:80", nil)
			c.change(req)
			before := req.Clone(req.Context())
			if got := wire(t, req); got != c.want {
				t.Errorf("\ngot  %q\nwant %q", got, c.want)
			}
			before.Body, req.Body = nil, nil
			if !reflect.DeepEqual(req, before) {
				t.Errorf("the request was modified: got %+v, want %+v", req, before)
			}
		})
	}
}

func TestUnsafeRequestsAreRefusedBeforeDialing(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"no URL", func(r *http.Request) { r.URL = nil }},
		{"no header map", func(r *http.Request) { r.Header = nil }},
		{"https", func(r *http.Request) { r.URL.Scheme = "https" }},
		{"no host", func(r *http.Request) { r.URL.Host = "" }},
		{"method with a blank", func(r *http.Request) { r.Method = "GET /x HTTP/1.1\r\nX:" }},
		{"CONNECT", func(r *http.Request) { r.Method = "CONNECT" }},
		{"line end in the query", func(r *http.Request) { r.URL.RawQuery = "a\r\nX: y" }},
		{"blank in the query", func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.0" }},
		{"DEL in an opaque URL", func(r *http.Request) { r.URL.Opaque = "/\x7f" }},
		{"host not ASCII", func(r *http.Request) { r.Host = "é.example" }},
		{"empty field name", func(r *http.Request) { r.Header[""] = []string{"x"} }},
		{"field name with a colon", func(r *http.Request) { r.Header["X:Y"] = []string{"x"} }},
		{"field name with a line end", func(r *http.Request) { r.Header["X\r\nY"] = []string{"x"} }},
		{"value with a line end", func(r *http.Request) { r.Header["X"] = []string{"ok", "x\r\nY: z"} }},
		{"value with NUL", func(r *http.Request) { r.Header["X"] = []string{"\x00"} }},
		{"user agent with a line end", func(r *http.Request) { r.Header["User-Agent"] = []string{"x\nY: z"} }},
		{"trailer that frames", func(r *http.Request) { r.Trailer = http.Header{"content-length": nil} }},
		{"trailer with a line end", func(r *http.Request) { r.Trailer = http.Header{"X": {"a\nb"}} }},
		{"length without a body", func(r *http.Request) { r.Body, r.ContentLength = nil, 5 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := track(strings.NewReader("hello"))
			req := newRequest(t, "POST", "fn:80", body)
			c.change(req)
			tr := newTransport(t)
			tr.Dial = dialTo(nil)
			if _, err := tr.RoundTrip(req); !errors.Is(err, ErrInvalidRequest) {
				t.Errorf("got %v, want an error that wraps %v", err, ErrInvalidRequest)
			}
			if req.Body != nil {
				body.mustClose(t)
			}
		})
	}
}

func TestHeadAndSmallBodyLeaveInOneWrite(t *testing.T) {
	for _, size := range []int{1, 1000, 64 << 10} {
		client, server := net.Pipe()
		counted := &writeCounter{Conn: client}
		go func() {
			readRequest(bufio.NewReader(server))
			io.WriteString(server, ok+"Content-Length: 0\r\n\r\n")
		}()
		tr := newTransport(t)
		tr.Dial = dialTo(counted)
		do(t, tr, newRequest(t, "POST", "fn", bytes.NewReader(make([]byte, size))))
		// A pipe has no writev: what is one system call on TCP is one write per buffer.
		if want := 1 + min(1, size/writeBufferSize); counted.n != want {
			t.Errorf("%d bytes: %d writes, want %d", size, counted.n, want)
		}
		server.Close()
	}
}

type writeCounter struct {
	net.Conn
	n int
}

func (w *writeCounter) Write(p []byte) (int, error) { w.n++; return w.Conn.Write(p) }
