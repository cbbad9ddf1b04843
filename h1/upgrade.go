package h1

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"
)

// upgrade hands the connection over to the caller, as the body of a 101 response.
// The request's context no longer matters then.
func (x *exchange) upgrade(resp *http.Response) (*http.Response, error) {
	c := x.c
	if !c.end() {
		c.ctx = x.ctx
		return nil, x.ctx.Err()
	}
	x.over.Store(true)
	c.detach()
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		_ = c.nc.Close()
		return nil, err
	}
	up := &upgraded{Conn: c.nc}
	if c.br.Buffered() > 0 {
		up.br = c.br
	}
	resp.Body = up
	return resp, nil
}

// upgraded is a connection that begins with bytes that were read along with the
// response's head.
type upgraded struct {
	net.Conn
	br *bufio.Reader // nil once it is empty
}

// Read reads first what is buffered, and never more than that from the buffer.
func (u *upgraded) Read(p []byte) (int, error) {
	if u.br == nil {
		return u.Conn.Read(p)
	}
	n, err := u.br.Read(p[:min(len(p), u.br.Buffered())])
	if u.br.Buffered() == 0 {
		u.br = nil
	}
	return n, err
}

// CloseWrite ends the sending direction. It wraps http.ErrNotSupported if the
// connection cannot do that.
func (u *upgraded) CloseWrite() error {
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return fmt.Errorf("CloseWrite: %w", http.ErrNotSupported)
}
