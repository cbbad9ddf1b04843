package h1

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"
)

const (
	defaultMaxIdlePerAddr        = 256
	defaultIdleTimeout           = 4 * time.Second
	defaultMaxHeaderBytes        = 1 << 20
	defaultExpectContinueTimeout = time.Second
)

// Transport is an http.RoundTripper that speaks HTTP/1.1 in plain text. Its zero
// value works. It is safe for concurrent use; fields must not change once it is
// in use. Nothing needs closing: idle connections end by themselves.
//
// It sends what it is given: no User-Agent or Accept-Encoding is added and no
// response is decompressed.
type Transport struct {
	// Dial connects to an address, host:port. Its errors are returned by RoundTrip
	// as they are. Default: a net.Dialer.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// MaxIdlePerAddr is how many idle connections are kept for each address.
	// A negative number keeps none. Default: 256.
	MaxIdlePerAddr int

	// IdleTimeout is how long an idle connection is kept. It should be below what
	// functions keep theirs for: Node.js closes after 5 s, uvicorn too. A connection
	// is also looked at before it is used again, so a longer time costs a little
	// safety only for requests that must not be sent twice. Default: 4s.
	IdleTimeout time.Duration

	// MaxDialsPerAddr is how many connections to one address are being made at
	// once. Further requests wait for one of those, or for a connection that
	// becomes idle: a thousand that come at once to a function that answers in a
	// millisecond need a few dozen. Default: 64.
	MaxDialsPerAddr int

	// MaxHeaderBytes limits the head of a response, including informational (1xx)
	// responses before it that no ClientTrace sees. Beyond it RoundTrip fails with
	// ErrHeadTooLong. Default: 1 MiB.
	MaxHeaderBytes int64

	// ExpectContinueTimeout is how long a request with "Expect: 100-continue" waits
	// for an answer before its body is sent anyway. Default: 1s.
	ExpectContinueTimeout time.Duration

	idle pool
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends a request to req.URL.Host, port 80 unless one is given, and
// returns when the head of its response has arrived. It does not modify req; a
// non-nil req.Body is always closed, possibly after RoundTrip has returned.
//
// A body of up to 64 KiB that is in memory (a bytes or strings reader, or one whose
// method Buffered() bool says so) is written on the caller's goroutine, any other by a
// goroutine of its own that also waits for the function's 100 Continue.
//
// Reading the response's body to its end makes the connection available again;
// closing the body earlier closes the connection, and ends a request body that is
// still being sent. The body of a 101 response is an io.ReadWriteCloser with
// CloseWrite, which owns the connection.
//
// A request whose kept connection dies before any answer is sent again if that is
// safe: nothing of it was written and its body is whole or req.GetBody is set; or it
// is idempotent (GET, HEAD, OPTIONS, TRACE, or it has an Idempotency-Key or
// X-Idempotency-Key) and has no body or req.GetBody.
//
// It returns, in this order of precedence: an error that wraps ErrInvalidRequest;
// Dial's error; ctx.Err() if the request's context has ended; *BodyError if the
// request's body failed; the error of a ClientTrace's Got1xxResponse; *Error.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(req, Options{})
}

func (t *Transport) roundTrip(req *http.Request, o Options) (*http.Response, error) {
	x := &exchange{t: t, req: req, options: o}
	w := newWriter()
	defer func() {
		// A writer that an upload has taken is not this function's to free.
		if w != nil {
			w.free()
		}
	}()
	err := x.prepare(w)
	if err == nil {
		err = req.Context().Err()
	}
	if err != nil {
		closeBody(req)
		return nil, err
	}
	x.ctx = req.Context()
	x.trace = httptrace.ContextClientTrace(x.ctx)
	addr := dialAddr(req.URL)
	for {
		c, err := t.connect(x, addr)
		if err != nil {
			x.closeRequestBody()
			return nil, err
		}
		resp, err := x.try(c, w)
		if x.up != nil {
			w = nil
		}
		if err == nil {
			return resp, nil
		}
		if !x.mayRepeat(err) || x.rewind() != nil {
			x.closeRequestBody()
			return nil, err
		}
		if w == nil {
			w = newWriter()
		}
		w.reset()
		if err := x.prepare(w); err != nil {
			x.closeRequestBody()
			return nil, err
		}
	}
}

// connect returns a connection to addr: an idle one, or a new one.
func (t *Transport) connect(x *exchange, addr string) (*conn, error) {
	ctx, trace := x.ctx, x.trace
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(addr)
	}
	now := time.Now()
	c := t.idle.get(addr, now, t.idleTimeout())
	if c == nil {
		var err error
		if c, err = t.obtain(ctx, addr); err != nil {
			return nil, err
		}
		now = time.Now()
	}
	if trace != nil && trace.GotConn != nil {
		info := httptrace.GotConnInfo{Conn: c.nc, Reused: c.reused, WasIdle: c.reused}
		if c.reused {
			info.IdleTime = now.Sub(c.idleSince)
		}
		trace.GotConn(info)
	}
	c.begin(ctx, now, x.options.HeadTimeout)
	return c, nil
}

func (t *Transport) dial(ctx context.Context, addr string) (net.Conn, error) {
	if t.Dial != nil {
		return t.Dial(ctx, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// CloseIdleConnections closes the connections that are idle, and those in use when
// they become idle before the next request.
func (t *Transport) CloseIdleConnections() { t.idle.dropAll() }

// CloseAddr closes the idle connections to an address that is no longer valid, and
// those in use when their responses end. addr is spelt as in req.URL.Host; a
// later request may connect to it anew.
func (t *Transport) CloseAddr(addr string) { t.idle.drop(withPort(addr)) }

// recycle takes a connection back whose response has been read to its end.
func (t *Transport) recycle(c *conn, trace *httptrace.ClientTrace) {
	// Bytes behind the response may be meant to be taken for the next one's.
	ok := c.end() && c.br.Buffered() == 0 && t.idle.put(c, t.maxIdle(), t.idleTimeout())
	if !ok {
		c.close()
		return
	}
	if trace != nil && trace.PutIdleConn != nil {
		trace.PutIdleConn(nil)
	}
}

func (t *Transport) maxIdle() int {
	if t.MaxIdlePerAddr == 0 {
		return defaultMaxIdlePerAddr
	}
	return t.MaxIdlePerAddr
}

func (t *Transport) idleTimeout() time.Duration {
	if t.IdleTimeout <= 0 {
		return defaultIdleTimeout
	}
	return t.IdleTimeout
}

func (t *Transport) maxHeaderBytes() int64 {
	if t.MaxHeaderBytes <= 0 {
		return defaultMaxHeaderBytes
	}
	return t.MaxHeaderBytes
}

func (t *Transport) expectContinueTimeout() time.Duration {
	if t.ExpectContinueTimeout <= 0 {
		return defaultExpectContinueTimeout
	}
	return t.ExpectContinueTimeout
}

func dialAddr(u *url.URL) string { return withPort(u.Host) }

// withPort adds http's port to a host that has none.
func withPort(host string) string {
	if strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']') {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "80")
}
