package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"
)

// request is what a client sends again and again, and what it wants back.
type request struct {
	raw    []byte // as it goes over the wire
	want   []byte // the response's body
	events bool   // the response is a stream of events instead
}

// newRequest makes the request of a client that says little of itself.
func newRequest(method, host, path string, upload, want []byte) *request {
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n", method, path, host)
	if method == http.MethodPost {
		fmt.Fprintf(&raw, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", len(upload))
	}
	raw.WriteString("\r\n")
	raw.Write(upload)
	return &request{raw: raw.Bytes(), want: want}
}

// client is one keep-alive connection. It does no more than it must: what the
// client costs, the proxy cannot have.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialClient opens a connection that fails at the deadline, so that a proxy
// that says nothing ends a round all the same.
func dialClient(addr string, deadline time.Time) (*client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, largeSize)}, nil
}

// do sends a request, reads its response and appends how long that took; of a
// stream of events, how long each was on its way. After an error, which may be
// about the response or the connection, the connection is not to be used again.
func (c *client) do(q *request, took []time.Duration) ([]time.Duration, error) {
	began := time.Now()
	if _, err := c.conn.Write(q.raw); err != nil {
		return took, err
	}
	h, err := c.head()
	switch {
	case err != nil:
		return took, fmt.Errorf("reading the head of the response: %w", err)
	case h.status != http.StatusOK:
		rest, _ := c.in.Peek(min(c.in.Buffered(), 200))
		return took, fmt.Errorf("got status %d, want 200: %s", h.status, bytes.TrimSpace(rest))
	case h.closes:
		return took, errors.New("the response closes the connection, want it kept alive")
	case q.events:
		return c.events(h, took)
	}
	if err := c.body(h, q.want); err != nil {
		return took, fmt.Errorf("reading the body of the response: %w", err)
	}
	return append(took, time.Since(began)), nil
}

// head is what the client needs to know of the head of a response.
type head struct {
	status  int
	length  int // bytes of the body; -1 if it does not say
	chunked bool
	closes  bool // no other response follows
}

func (c *client) head() (head, error) {
	h := head{length: -1}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return h, fmt.Errorf("got %q, want a status line", line)
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, err
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return h, err
		}
		key, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if len(key) == 0 {
			return h, nil
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(key, []byte("Content-Length")):
			if h.length, err = strconv.Atoi(string(value)); err != nil {
				return h, err
			}
		case bytes.EqualFold(key, []byte("Transfer-Encoding")):
			h.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(key, []byte("Connection")):
			h.closes = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// body reads the body of a response, which must be want. All proxies here pass
// a length on that they know.
func (c *client) body(h head, want []byte) error {
	if h.length != len(want) {
		return fmt.Errorf("got length %d, want %d", h.length, len(want))
	}
	for len(want) > 0 {
		if _, err := c.in.Peek(1); err != nil {
			return err
		}
		got, _ := c.in.Peek(min(c.in.Buffered(), len(want))) // cannot fail
		if !bytes.Equal(got, want[:len(got)]) {
			return errors.New("got another body than the backend sends")
		}
		want = want[len(got):]
		_, _ = c.in.Discard(len(got)) // cannot fail
	}
	return nil
}

// events reads a stream and appends how long each of its events was on its way
// from the backend, by the clock that both have in common.
func (c *client) events(h head, took []time.Duration) ([]time.Duration, error) {
	if !h.chunked {
		return took, errors.New("the stream is not chunked")
	}
	seen := 0
	lines := bufio.NewScanner(httputil.NewChunkedReader(c.in))
	for lines.Scan() {
		stamp, ok := bytes.CutPrefix(lines.Bytes(), []byte(eventPrefix))
		if !ok {
			continue
		}
		stamp, _, _ = bytes.Cut(stamp, []byte(" "))
		sent, err := strconv.ParseInt(string(stamp), 10, 64)
		if err != nil {
			return took, fmt.Errorf("reading an event: %w", err)
		}
		took = append(took, time.Since(time.Unix(0, sent)))
		seen++
	}
	if err := lines.Err(); err != nil {
		return took, fmt.Errorf("reading the stream: %w", err)
	}
	if seen != eventCount {
		return took, fmt.Errorf("got %d events, want %d", seen, eventCount)
	}
	// The chunked reader leaves the empty line behind the last chunk.
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return took, fmt.Errorf("reading behind the stream: %w", err)
	}
	if len(bytes.TrimSpace(line)) > 0 {
		return took, fmt.Errorf("got %q behind the stream, want an empty line", line)
	}
	return took, nil
}

// close closes the connection.
func (c *client) close() { c.conn.Close() }
