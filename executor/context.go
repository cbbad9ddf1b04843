package executor

import (
	"context"
	"net/http"
	"strings"
)

// maxRequestID bounds, in bytes, a request id that is passed on.
const maxRequestID = 1 << 10

type (
	requestIDKey struct{}
	headerKey    struct{}
)

// WithRequestID returns a context whose calls bear id as X-Request-Id. An id
// that is empty, longer than 1 KiB, or has control characters is not passed
// on: it came from a client, and must not make the call fail.
func WithRequestID(ctx context.Context, id string) context.Context {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, control) {
		return ctx
	}
	return context.WithValue(ctx, requestIDKey{}, id)
}

// WithHeader returns a context whose calls bear the fields of h beside their
// own: a trace context, say. They replace those of an earlier WithHeader; of
// the fields that the client sets itself, its own win.
func WithHeader(ctx context.Context, h http.Header) context.Context {
	return context.WithValue(ctx, headerKey{}, h.Clone())
}

// headerOf returns a new header with what ctx asks for.
func headerOf(ctx context.Context) http.Header {
	h, _ := ctx.Value(headerKey{}).(http.Header)
	if h = h.Clone(); h == nil {
		h = make(http.Header)
	}
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		h.Set("X-Request-Id", id)
	}
	return h
}
