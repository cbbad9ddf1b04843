package kubefaas

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// proxiedVar is the request variable in which the source leaves the exchange
// for the transport.
const proxiedVar = "kubefaas.proxied"

// proxied is a request to a function through reverse_proxy.
type proxied struct {
	call
	err  error    // why there is no address
	conn net.Conn // the client's, where net/http reads from it for the body
}

// proxied begins a request.
func (u *Upstreams) proxied(r *http.Request) *proxied {
	p := &proxied{call: call{
		Context: r.Context(), app: u.app, policy: u.policy, target: u.target, began: time.Now(), requestID: requestID(r),
	}}
	if p.target == nil {
		p.target = new(target)
	}
	if r.ProtoMajor == 1 {
		p.conn, _ = r.Context().Value(connKey{}).(net.Conn)
	}
	return p
}

// forget makes the next attempt of reverse_proxy's own loop start anew.
func (p *proxied) forget() { caddyhttp.SetVar(p.Context, proxiedVar, nil) }

// failed counts and logs a request that there is no response to.
func (p *proxied) failed(r *http.Request, code int, reason string) {
	p.code, p.reason = code, reason
	countFailure(reason)
	if p.headersAt.IsZero() {
		p.headersAt = time.Now()
	}
	if p.fn != nil {
		p.count(r)
	}
	p.log(r)
}

// unknownTo is failed where the transport is not ours: reverse_proxy answers 503,
// whatever the reason.
func (p *proxied) unknownTo(r *http.Request) {
	p.failed(r, http.StatusServiceUnavailable, fail(p.err).reason)
}

// answered has the response's end noted.
func (p *proxied) answered(r *http.Request, resp *http.Response) {
	p.code = resp.StatusCode
	if conn, ok := resp.Body.(io.ReadWriteCloser); ok {
		// It is closed on a goroutine that outlives the handler: too late for the log.
		p.log(r)
		resp.Body = &endingConn{ReadWriteCloser: conn, done: func() {
			p.endUpload()
			p.count(r)
		}}
		return
	}
	resp.Body = &ending{ReadCloser: resp.Body, done: func(size int64, whole bool, err error) {
		p.endUpload()
		p.size = size
		switch {
		case whole:
		case r.Context().Err() != nil:
			p.reason = reasonClientClosed
		case err != nil:
			p.reason = reasonFunctionError
			countFailure(p.reason)
		}
		p.count(r)
		p.log(r)
	}}
}

// endUpload ends the request's body. If whoever reads it still waits for the client,
// net/http would too before it answers.
func (p *proxied) endUpload() {
	b := p.exchange.Body
	if b == nil {
		return
	}
	b.Close()
	if p.conn != nil && b.Waits() {
		endRead(p.conn, b)
	}
}

// release gives the address back.
func (p *proxied) release() {
	if p.exchange.Lease != nil {
		p.exchange.Lease.Release()
	}
}

// ending is a response's body that tells of its end: how much was read, in bytes,
// whether that was all, and what reading failed with.
type ending struct {
	io.ReadCloser
	done  func(size int64, whole bool, err error)
	size  int64
	whole bool
	err   error
	once  sync.Once
}

// Read counts.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.size += int64(n)
	if err == io.EOF {
		e.whole = true
	} else if err != nil && e.err == nil {
		e.err = err
	}
	return n, err
}

// Close closes the body.
func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	e.once.Do(func() { e.done(e.size, e.whole, e.err) })
	return err
}

// endingConn is the connection that an upgraded response leaves. What passes is
// not counted.
type endingConn struct {
	io.ReadWriteCloser
	done func()
	once sync.Once
}

// Close closes the connection.
func (e *endingConn) Close() error {
	err := e.ReadWriteCloser.Close()
	e.once.Do(e.done)
	return err
}

// CloseWrite passes the end of one direction on.
func (e *endingConn) CloseWrite() error {
	if err := closeWrite(e.ReadWriteCloser); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
