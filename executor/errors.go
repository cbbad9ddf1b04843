package executor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxText bounds, in bytes, what an Error keeps of the executor's own text.
const maxText = 1 << 10

// maxRetryAfter bounds what is believed of an executor's Retry-After.
const maxRetryAfter = 24 * time.Hour

// ErrBadAddress is wrapped by the error for a text that is not an address.
var ErrBadAddress = errors.New("not an address")

// errTooLong is the error for an answer longer than maxAnswer.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxAnswer)

// Error is a call that an executor answered badly or not at all.
type Error struct {
	// Call is the name of the call, one of the Call constants.
	Call string
	// Status is the executor's HTTP status; 0 if no whole answer came.
	Status int
	// RetryAfter is the executor's Retry-After; 0 if it sent none.
	RetryAfter time.Duration
	// Text is the executor's own text, at most 1 KiB of it and without
	// control characters. It is internal detail: for logs and debugging.
	Text string
	// Err is the cause where there is one beside the status.
	Err error

	// ended is true if the caller's context ended before an answer came.
	ended bool
}

// Error says which call failed and how.
func (e *Error) Error() string {
	s := "executor: " + e.Call
	if e.Status != 0 {
		s += ": status " + strconv.Itoa(e.Status)
	}
	if e.Err != nil {
		return s + ": " + e.Err.Error()
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary says whether the same call may succeed a little later: no answer
// came although the caller was still waiting, or the answer was 502, 503 or
// 504.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Unavailable()
}

// Unavailable says whether the executor could not be reached: the connection
// failed, or broke before the whole answer was read.
func (e *Error) Unavailable() bool {
	return e.Status == 0 && !e.ended && !e.BadAddress() && !errors.Is(e.Err, context.Canceled)
}

// NotFound says whether the executor does not know the function.
func (e *Error) NotFound() bool { return e.Status == http.StatusNotFound }

// Capacity says whether the executor is at a limit.
func (e *Error) Capacity() bool { return e.Status == http.StatusTooManyRequests }

// BadAddress says whether the executor named an address that is not one.
func (e *Error) BadAddress() bool { return errors.Is(e.Err, ErrBadAddress) }

// statusError is the error for an answer that is not a 2xx.
func statusError(call string, a *answer, now time.Time) *Error {
	return &Error{
		Call:       call,
		Status:     a.status,
		RetryAfter: parseRetryAfter(a.header.Get("Retry-After"), now),
		Text:       plainText(a.body),
	}
}

// transportError is the error for a call that got no whole answer.
func transportError(ctx context.Context, call string, err error) *Error {
	if ctx.Err() != nil {
		return &Error{Call: call, Err: ctx.Err(), ended: true}
	}
	return &Error{Call: call, Err: err}
}

// plainText makes a body fit for a log line: at most maxText bytes, valid
// UTF-8, each run of spaces and control characters a single space.
func plainText(body []byte) string {
	cut := body[:min(len(body), maxText)]
	words := strings.FieldsFunc(strings.ToValidUTF8(string(cut), ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	return strings.Join(words, " ")
}

// parseRetryAfter reads a Retry-After header, seconds or an HTTP date. What
// cannot be read, or is past, is 0.
func parseRetryAfter(s string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(s, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
