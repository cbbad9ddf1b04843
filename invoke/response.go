package invoke

import (
	"io"
	"net/http"
)

// hold makes the response's body give the address back when it ends.
func hold(resp *http.Response, x *Exchange) *http.Response {
	x.Lease.Responding()
	h := &x.held
	*h = held{ReadCloser: resp.Body, exchange: x}
	if rwc, ok := resp.Body.(io.ReadWriteCloser); ok {
		resp.Body = &heldConn{held: h, conn: rwc}
		return resp
	}
	resp.Body = h
	return resp
}

// held is a response's body that holds a lease.
type held struct {
	io.ReadCloser
	exchange *Exchange
}

// Unwrap returns the Sender's body, for what else it can do.
func (h *held) Unwrap() io.ReadCloser { return h.ReadCloser }

// Read reads; at the body's end the address is given back.
func (h *held) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if err != nil {
		h.release()
	}
	return n, err
}

// Close gives the address back too.
func (h *held) Close() error {
	err := h.ReadCloser.Close()
	h.release()
	return err
}

func (h *held) release() { h.exchange.Lease.Release() }

// heldConn is an upgraded connection that holds a lease until it is closed.
type heldConn struct {
	*held
	conn io.ReadWriteCloser
}

// Read reads; one direction's end is not the connection's.
func (h *heldConn) Read(p []byte) (int, error) { return h.conn.Read(p) }

// Write writes to the function.
func (h *heldConn) Write(p []byte) (int, error) { return h.conn.Write(p) }

// CloseWrite tells the function that no more comes, if the connection can.
func (h *heldConn) CloseWrite() error {
	if c, ok := h.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
