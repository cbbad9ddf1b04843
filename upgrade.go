package kubefaas

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/kubefaas/caddy-kubefaas/invoke"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// relayUpgrade joins the client's connection with the function's. From then on
// neither the configuration nor a reload touches them: they end when one side
// ends them, or with the trigger's stream_max_duration.
func (h *Handler) relayUpgrade(w http.ResponseWriter, r *http.Request, c *call, resp *http.Response) error {
	function, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		_ = resp.Body.Close()
		return h.refuse(w, r, c, broken(c, errors.New("101 Switching Protocols without a connection")))
	}
	defer function.Close()
	asked := "websocket"
	if !isExtendedConnect(r) {
		asked = upgradeOf(r.Header)
	}
	if got := upgradeOf(resp.Header); asked == "" || !hasToken([]string{asked}, got) {
		return h.refuse(w, r, c, broken(c, fmt.Errorf("the function switched to %q where %q was asked for", got, asked)))
	}
	client, err := takeOver(w, r, c, resp)
	if err != nil {
		return h.refuse(w, r, c, broken(c, err))
	}
	defer client.Close()
	if longest := c.target.streamMax; longest > 0 {
		timer := time.AfterFunc(longest, func() { _ = client.Close(); _ = function.Close() })
		defer timer.Stop()
	}
	c.size = splice(client, function)
	return nil
}

// broken is a function that broke the protocol.
func broken(c *call, err error) *failure {
	return fail(&invoke.AttemptError{
		Outcome: retry.Sent, Address: c.exchange.Address, Attempts: c.exchange.Attempts, Err: err,
	})
}

// takeOver answers the upgrade and returns the client's side of it.
func takeOver(w http.ResponseWriter, r *http.Request, c *call, resp *http.Response) (io.ReadWriteCloser, error) {
	rc := http.NewResponseController(w)
	if isExtendedConnect(r) {
		copyResponseHeader(w.Header(), resp.Header)
		w.Header().Del("Sec-Websocket-Accept")
		if c.target.serverTiming {
			c.setTiming(w.Header())
		}
		w.WriteHeader(http.StatusOK)
		if err := rc.Flush(); err != nil {
			return nil, fmt.Errorf("flushing the response: %w", err)
		}
		return &stream{Reader: r.Body, writer: w, rc: rc}, nil
	}
	protocol := resp.Header["Upgrade"] // which ends at this hop, as copying sees it
	copyResponseHeader(w.Header(), resp.Header)
	w.Header()["Connection"] = []string{"Upgrade"}
	w.Header()["Upgrade"] = protocol
	if c.target.serverTiming {
		c.setTiming(w.Header())
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, buffered, err := rc.Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking over the client's connection: %w", err)
	}
	// The server's deadlines were for the request.
	if err := conn.SetDeadline(time.Time{}); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &hijacked{Conn: conn, reader: buffered.Reader}, nil
}

// hijacked is a client's connection with what the server had read of it.
type hijacked struct {
	net.Conn
	reader *bufio.Reader
}

// Read reads what the server had, then from the connection.
func (h *hijacked) Read(p []byte) (int, error) {
	if h.reader.Buffered() > 0 {
		return h.reader.Read(p[:min(len(p), h.reader.Buffered())])
	}
	return h.Conn.Read(p)
}

// CloseWrite tells the client that no more comes.
func (h *hijacked) CloseWrite() error { return closeWrite(h.Conn) }

// stream is one stream of an HTTP/2 or HTTP/3 connection.
type stream struct {
	io.Reader
	writer io.Writer
	rc     *http.ResponseController
}

// Write sends and flushes.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.writer.Write(p)
	if err == nil {
		err = s.rc.Flush()
	}
	return n, err
}

// Close ends a read that waits for the client; the stream itself ends with the
// handler.
func (s *stream) Close() error { return s.rc.SetReadDeadline(time.Now()) }

// closeWrite closes one direction, where the connection can.
func closeWrite(c any) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// splice copies both ways until both sides have ended, or one has failed. It
// returns how many bytes the client got.
func splice(client, function io.ReadWriteCloser) int64 {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pump(function, client)
	}()
	n := pump(client, function)
	<-done
	return n
}

// pump copies one direction and passes its end on. If the end cannot be passed
// on, or copying failed, both connections are closed, which ends the other
// direction too.
func pump(dst, src io.ReadWriteCloser) int64 {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, buf[:])
	if err != nil || closeWrite(dst) != nil {
		_ = dst.Close()
		_ = src.Close()
	}
	return n
}
