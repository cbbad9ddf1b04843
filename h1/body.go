package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"sync/atomic"
)

// responseBody is a response's body: Close is safe beside Read.
type responseBody struct {
	x       *exchange
	src     io.Reader      // decodes the framing; nil if left counts
	left    int64          // bytes to come, without src
	trailer *http.Response // gets the trailer behind src's end, if set
	err     error          // sticky; the reader's own
	ended   atomic.Bool    // read to its end
	closed  atomic.Bool
}

// Read reads the body. With its last bytes, or after them, it returns io.EOF and the
// connection is free for another request. Other errors: ctx.Err() after the
// request's context has ended, *BodyError if the request's body failed meanwhile,
// io.ErrUnexpectedEOF, or what the connection or the chunk decoder say.
func (b *responseBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		b.err = io.EOF
		b.ended.Store(true)
		b.x.complete()
		return n, io.EOF
	}
	b.err = b.explain(err)
	b.x.abort()
	return n, b.err
}

func (b *responseBody) read(p []byte) (int, error) {
	if b.src == nil {
		n, err := b.x.c.br.Read(p[:min(int64(len(p)), b.left)])
		b.left -= int64(n)
		switch {
		case b.left == 0:
			err = io.EOF
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
	n, err := b.src.Read(p)
	if err == io.EOF && b.trailer != nil {
		if e := readTrailer(b.x.c.br, b.trailer); e != nil {
			err = e
		}
	}
	return n, err
}

// explain prefers the reason why the connection was closed to the symptom.
func (b *responseBody) explain(err error) error {
	x := b.x
	var own *BodyError
	switch {
	case b.closed.Load():
		return http.ErrBodyReadAfterClose
	case x.ctx.Err() != nil:
		return x.ctx.Err()
	case x.up != nil && x.up.state.Load()&sent != 0 && errors.As(x.up.err, &own):
		return own
	}
	return err
}

// Close closes the connection, and so ends the request, unless both bodies have
// come to their ends. It never fails.
func (b *responseBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if b.ended.Load() && (b.x.up == nil || b.x.up.ended()) {
		return nil
	}
	b.x.abort()
	return nil
}

var errTrailerEOF = errors.New("unexpected end in the trailer")

// readTrailer reads what follows the last chunk: a trailer no longer than the read
// buffer, and a blank line.
func readTrailer(br *bufio.Reader, resp *http.Response) error {
	b, err := br.Peek(2)
	if string(b) == "\r\n" {
		_, err = br.Discard(2)
		return err
	}
	if len(b) < 2 {
		if err == nil || err == io.EOF {
			err = errTrailerEOF
		}
		return err
	}
	for !bytes.Contains(b, blankLine) {
		if b, err = br.Peek(max(br.Buffered(), len(b)+1)); err != nil && !bytes.Contains(b, blankLine) {
			return errors.New("trailer too long or cut off")
		}
	}
	h, err := textproto.NewReader(br).ReadMIMEHeader()
	if err != nil {
		return err
	}
	if resp.Trailer == nil {
		resp.Trailer = make(http.Header, len(h))
	}
	maps.Copy(resp.Trailer, http.Header(h))
	return nil
}
