package caddytest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

// SSE answers with n server-sent events, "data: 0" and so on, each flushed,
// with a pause before all but the first. A negative n goes on until the client
// leaves.
func SSE(n int, every time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		pieces(w, r, n, every, func(i int) string { return fmt.Sprintf("data: %d\n\n", i) })
	})
}

// SlowBody answers with n lines of text, "0" and so on, flushed one by one with
// a pause before all but the first.
func SlowBody(n int, every time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		pieces(w, r, n, every, func(i int) string { return fmt.Sprintln(i) })
	})
}

func pieces(w http.ResponseWriter, r *http.Request, n int, every time.Duration, text func(int) string) {
	flush := http.NewResponseController(w)
	for i := 0; n < 0 || i < n; i++ {
		if i > 0 && !pause(r, every) {
			return
		}
		if _, err := io.WriteString(w, text(i)); err != nil {
			return
		}
		if err := flush.Flush(); err != nil {
			return
		}
	}
}

// Chunked answers with n pieces of size bytes and no Content-Length.
func Chunked(n, size int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		piece := string(bytes.Repeat([]byte("x"), size))
		pieces(w, r, n, 0, func(int) string { return piece })
	})
}

// Trailers reads the request, and answers with a body and two trailers: one
// announced, X-Test-Sum, the length of the request's body; and one not
// announced, X-Test-Late. A trailer X-Test-Sent of the request comes back as
// the announced trailer X-Test-Got.
func Trailers() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Trailer", "X-Test-Sum, X-Test-Got")
		_, _ = io.WriteString(w, "the trailers follow\n")
		w.Header().Set("X-Test-Sum", fmt.Sprint(n))
		w.Header().Set("X-Test-Got", r.Trailer.Get("X-Test-Sent"))
		w.Header().Set(http.TrailerPrefix+"X-Test-Late", "yes")
	})
}

// Upload reads the request's body, which makes net/http send 100 Continue to a
// client that expects it, and answers with its length. If refuse is not 0, it
// answers with that status instead and reads nothing.
func Upload(refuse int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse != 0 {
			w.WriteHeader(refuse)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprint(w, n)
	})
}

// Status reads the request's body and answers with a status and no body.
func Status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
	})
}

// Abort reads the request's body and then closes the connection: without an
// answer if after is 0, else in the midst of a longer body, of which it sends
// after bytes. It is what a client sees of a function that crashes.
func Abort(after int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if after > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(after+1))
			_, _ = w.Write(bytes.Repeat([]byte("x"), after))
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	})
}
