package kubefaas

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// copyBuffers are for relaying response bodies.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// relay gives the client the function's response as it comes.
func (h *Handler) relay(w http.ResponseWriter, r *http.Request, c *call, resp *http.Response) error {
	if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		return h.refuse(w, r, c, broken(c, fmt.Errorf("its status is %d", resp.StatusCode)))
	}
	c.code = resp.StatusCode
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return h.relayUpgrade(w, r, c, resp)
	}
	defer resp.Body.Close()
	answerEarly(w, r, c.exchange.Body)
	header := w.Header()
	delete(header, c.policy.names.err) // of a failure that this one makes up for, in an error route
	copyResponseHeader(header, resp.Header)
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // net/http is not to guess one
	}
	if c.target.serverTiming {
		c.setTiming(header)
	}
	announced := announceTrailers(header, resp.Trailer)
	w.WriteHeader(resp.StatusCode)

	if r.Method == http.MethodHead || resp.ContentLength == 0 && announced == 0 {
		return nil
	}
	rc := http.NewResponseController(w)
	live := isLive(resp)
	if live {
		// The head is worth something to the client before the first byte comes.
		_ = rc.Flush()
	}
	n, err := h.copyBody(w, rc, c, resp, live)
	c.size = n
	if err != nil {
		return h.abort(rc, r, c, err)
	}
	writeTrailers(w, rc, resp.Trailer, announced)
	return nil
}

// relayInformational gives the client a response before the final one: the
// header fields are its alone.
func relayInformational(w http.ResponseWriter, code int, informational http.Header) {
	header := w.Header()
	before := header.Clone()
	copyResponseHeader(header, informational)
	w.WriteHeader(code)
	clear(header)
	maps.Copy(header, before)
}

// isLive says whether a response is to be flushed as it comes: its length is
// unknown, or it is a stream of events.
func isLive(resp *http.Response) bool {
	return resp.ContentLength == -1 || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
}

// copyBody copies the response's body within the trigger's bounds.
func (h *Handler) copyBody(w io.Writer, rc *http.ResponseController, c *call, resp *http.Response, live bool) (int64, error) {
	bound := newStreamBound(resp.Body, c.target.streamIdle, c.target.streamMax)
	defer bound.stop()
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	var total int64
	for {
		n, err := bound.Read(buf[:])
		if n > 0 {
			m, werr := w.Write(buf[:n])
			total += int64(m)
			if werr != nil {
				return total, &clientError{werr}
			}
			if live {
				if ferr := rc.Flush(); ferr != nil && !errors.Is(ferr, http.ErrNotSupported) {
					return total, &clientError{ferr}
				}
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// clientError is a response that the client did not take.
type clientError struct{ err error }

// Error says what kept the client from taking it.
func (e *clientError) Error() string { return "writing the response: " + e.err.Error() }

// Unwrap returns the cause.
func (e *clientError) Unwrap() error { return e.err }

// abort ends a response whose head is sent already: the client is to see that
// it is not whole.
func (h *Handler) abort(rc *http.ResponseController, r *http.Request, c *call, err error) error {
	var client *clientError
	if errors.As(err, &client) || r.Context().Err() != nil {
		c.reason = reasonClientClosed
		return nil //nolint:nilerr // the client that would be told has left
	}
	c.reason = reasonFunctionError
	countFailure(c.reason)
	if entry := h.logger.Check(zapcore.WarnLevel, "the function's response broke off"); entry != nil {
		entry.Write(
			zap.String("function", c.functionName()), zap.String("address", c.exchange.Address),
			zap.String("request_id", c.requestID), zap.Int64("bytes", c.size), zap.Error(err),
		)
	}
	_ = rc.Flush()
	panic(http.ErrAbortHandler)
}

// copyResponseHeader gives the client the response's headers but for those
// that end at this hop.
func copyResponseHeader(dst, src http.Header) {
	for _, line := range src["Connection"] {
		for field := range strings.SplitSeq(line, ",") {
			if field = textproto.CanonicalMIMEHeaderKey(textproto.TrimString(field)); field != "" && field != "Close" {
				delete(src, field)
			}
		}
	}
	for name, values := range src {
		if hopHeaders[name] {
			continue
		}
		if name == requestIDHeader {
			continue // the client has its own already
		}
		if name == "Server" {
			dst[name] = values // the function's, not Caddy's beside it
			continue
		}
		if before := dst[name]; before != nil {
			values = append(slices.Clip(before), values...)
		}
		dst[name] = values
	}
}

// announceTrailers names the trailers that will follow, as HTTP/1.1 wants it.
func announceTrailers(header http.Header, trailer http.Header) int {
	if len(trailer) == 0 {
		return 0
	}
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		names = append(names, name)
	}
	header["Trailer"] = append(header["Trailer"], join(names))
	return len(names)
}

// writeTrailers sends the trailers; those that were not announced need
// net/http's prefix.
func writeTrailers(w http.ResponseWriter, rc *http.ResponseController, trailer http.Header, announced int) {
	if len(trailer) == 0 {
		return
	}
	// The head must be out, or there would be a Content-Length instead.
	_ = rc.Flush()
	prefix := ""
	if len(trailer) != announced {
		prefix = http.TrailerPrefix
	}
	header := w.Header()
	for name, values := range trailer {
		header[prefix+name] = append(header[prefix+name], values...)
	}
}
