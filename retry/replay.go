package retry

import "net/http"

// Body says whether a request's body can be sent once more.
type Body int

// States of a body. The zero value is the one that cannot be repeated.
const (
	// Consumed: bytes were read that nobody kept.
	Consumed Body = iota
	// Untouched: there is no body, or no byte of it was read.
	Untouched
	// Buffered: all that was read is kept.
	Buffered
)

// Request is what replaying depends on.
type Request struct {
	Method string
	// IdempotencyKey: the client sent Idempotency-Key or X-Idempotency-Key.
	IdempotencyKey bool
	Body           Body
	// Written: at least one byte of the request, its line and header
	// included, may have gone out on the connection that failed.
	Written bool
}

// Replayable reports whether a request may be sent again after a reused
// connection died under it. It is net/http's rule: the body can be sent again,
// and either nothing was written at all, or the method is a safe one, or the
// client vouches for it with a key. A POST without a body is complete with its
// header, so "no body byte sent" alone proves nothing.
func (r Request) Replayable() bool {
	if r.Body == Consumed {
		return false
	}
	if !r.Written || r.IdempotencyKey {
		return true
	}
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// HasIdempotencyKey reports whether a header bears the client's promise that
// its request may be repeated. As in net/http, an empty value is a promise too.
func HasIdempotencyKey(h http.Header) bool {
	_, key := h["Idempotency-Key"]
	_, xkey := h["X-Idempotency-Key"]
	return key || xkey
}
