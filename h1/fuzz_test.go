package h1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// scripted is a connection that plays a server's bytes back in pieces.
type scripted struct {
	data  []byte
	piece int
}

func (c *scripted) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.data)
	c.data = c.data[n:]
	return n, nil
}

func (c *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (c *scripted) Close() error                     { return nil }
func (c *scripted) LocalAddr() net.Addr              { return nil }
func (c *scripted) RemoteAddr() net.Addr             { return nil }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// FuzzReadResponse compares with http.ReadResponse, whatever the bytes and however
// they are cut into reads.
func FuzzReadResponse(f *testing.F) {
	for _, c := range rawCases {
		f.Add([]byte(c.raw), c.method == http.MethodHead, uint16(0))
		f.Add([]byte(c.raw), c.method == http.MethodHead, uint16(7))
	}
	f.Fuzz(func(t *testing.T, raw []byte, head bool, piece uint16) {
		if len(raw) > 64<<10 {
			return
		}
		req, _ := http.NewRequest(http.MethodGet, "http://function/", nil)
		if head {
			req.Method = http.MethodHead
		}
		size := int(piece)
		if size == 0 {
			size = len(raw) + 1
		}
		got, gotRest, kept := readByRoundTrip(req, raw, size)
		want, wantRest := readByNetHTTP(req, raw, size)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\ngot  %+v\nwant %+v", got, want)
		}
		if !got.Failed && !got.BodyFailed && gotRest != wantRest {
			t.Errorf("bytes left: got %d, want %d", gotRest, wantRest)
		}
		if whole := size > len(raw); kept && (got.Failed || got.BodyFailed || got.Close || whole && gotRest > 0) {
			t.Errorf("the connection was kept after %+v with %d bytes left", got, gotRest)
		}
	})
}

// readByRoundTrip also tells how many bytes were not part of the response, and whether
// the connection was kept.
func readByRoundTrip(req *http.Request, raw []byte, piece int) (o outcome, rest int, kept bool) {
	nc := &scripted{data: raw, piece: piece}
	tr := &Transport{Dial: func(context.Context, string) (net.Conn, error) { return nc, nil }}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		o.Failed = true
		return o, 0, tr.idle.pop("function:80") != nil
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		o.describe(resp)
		return o, 0, false
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	o.BodyFailed, o.Body = err != nil, string(b)
	o.describe(resp)
	rest = len(nc.data)
	if x, ok := resp.Body.(*responseBody); ok {
		rest += x.x.c.br.Buffered()
	}
	return o, rest, tr.idle.pop("function:80") != nil
}

func readByNetHTTP(req *http.Request, raw []byte, piece int) (o outcome, rest int) {
	nc := &scripted{data: raw, piece: piece}
	br := bufio.NewReader(nc)
	if _, err := br.Peek(1); err != nil {
		o.Failed = true
		return o, 0
	}
	for {
		resp, err := http.ReadResponse(br, req)
		if err != nil {
			o.Failed = true
			return o, 0
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			o.describe(resp)
			return o, 0
		}
		if resp.StatusCode >= 100 && resp.StatusCode <= 199 {
			continue
		}
		b, err := io.ReadAll(resp.Body)
		o.BodyFailed, o.Body = err != nil, string(b)
		o.describe(resp)
		rest = len(nc.data)
		if resp.Body != http.NoBody {
			rest += br.Buffered()
		}
		return o, rest
	}
}

// FuzzRequestHead checks that a server reads back the one request that was meant,
// or that it is refused: no field, target or host can end a line.
func FuzzRequestHead(f *testing.F) {
	f.Add("GET", "/a b", "x=1", "example.com", "X-A", "one")
	f.Add("POST", "/", "a=\r\nHost: evil", "evil\r\nX: y", "X-A\r\nX-B", "one\r\n\r\nGET / HTTP/1.1")
	f.Add("DELETE", "/%2e", "", "[fe80::1%en0]:80", "host", "evil")
	f.Add("PATCH", "//x", "", "", "content-length", "5")
	f.Fuzz(func(t *testing.T, method, path, query, host, key, value string) {
		req, _ := http.NewRequest(http.MethodGet, "http://function/", nil)
		req.Method, req.URL.Path, req.URL.RawQuery, req.Host = method, path, query, host
		req.Header = http.Header{key: {value}}
		x := &exchange{t: &Transport{}, req: req}
		w := newWriter()
		if err := x.prepare(w); err != nil {
			return
		}
		br := bufio.NewReader(bytes.NewReader(w.buf))
		got, err := http.ReadRequest(br)
		if err != nil {
			return // refused by the server as well, as one request
		}
		if br.Buffered() > 0 {
			t.Fatalf("bytes after the request: %q", w.buf)
		}
		if method != "" && got.Method != method {
			t.Errorf("method: got %q, want %q", got.Method, method)
		}
		if len(got.Header) > 2 || got.ContentLength > 0 || len(got.TransferEncoding) > 0 {
			t.Errorf("more than one field came of %q: %q: %q", key, value, w.buf)
		}
		if strings.EqualFold(key, "host") && got.Host == value && value != host && host != "" {
			t.Errorf("the host was taken from the header map: %q", got.Host)
		}
	})
}
