package kubefaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/invoke"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// programError stands for an error of the executor of local programs.
type programError struct{ notFound, late bool }

func (e programError) Error() string  { return "exit status 3" }
func (e programError) NotFound() bool { return e.notFound }
func (e programError) Timeout() bool  { return e.late }
func (e programError) Detail() string { return "the last line" }

// attemptOf is the error of an exchange whose last attempt ended so.
func attemptOf(o retry.Outcome, err error) error {
	return &invoke.AttemptError{Outcome: o, Address: "127.0.0.1:1", Attempts: 3, Err: err}
}

// TestEveryFailure lists all that can go wrong: router.md, section 6, and what
// it leaves open.
func TestEveryFailure(t *testing.T) {
	broken := errors.New("broken")
	const noRetry = time.Duration(0)
	cases := []struct {
		name   string
		err    error
		status int
		reason string
		retry  time.Duration
	}{
		{"no route", &failure{status: http.StatusNotFound, reason: reasonNoRoute}, 404, "no_route", noRetry},
		{"a method that the trigger has not", &failure{status: http.StatusMethodNotAllowed, reason: reasonMethodNotAllowed}, 405, "method_not_allowed", noRetry},
		{"a function's name that is none", &failure{status: http.StatusBadGateway, reason: reasonNoFunction}, 502, "no_function", noRetry},
		{"a failure inside of another error", fmt.Errorf("proxy: %w", &failure{status: 502, reason: reasonNoFunction}), 502, "no_function", noRetry},
		{"the client left", context.Canceled, 499, "client_closed", noRetry},
		{"the client left in the midst of an attempt", fmt.Errorf("dial: %w", context.Canceled), 499, "client_closed", noRetry},
		{"the function's timeout passed", attemptOf(retry.Sent, invoke.ErrFunctionTimeout), 504, "function_timeout", noRetry},
		{"the executor was not done in time", endpoint.ErrColdStartTimeout, 504, "cold_start_timeout", noRetry},
		{"the executor was not done in time, and had an error before", fmt.Errorf("%w; last: x", endpoint.ErrColdStartTimeout), 504, "cold_start_timeout", noRetry},
		{"the call of the executor had no time left", &executor.Error{Err: context.DeadlineExceeded}, 504, "cold_start_timeout", noRetry},
		{"the executor says 429", &executor.Error{Status: 429}, 429, "capacity_exceeded", time.Second},
		{"the executor says 429 and until when", &executor.Error{Status: 429, RetryAfter: 7 * time.Second}, 429, "capacity_exceeded", 7 * time.Second},
		{"the executor says 404", &executor.Error{Status: 404}, 502, "function_not_found", noRetry},
		{"the executor says 400", &executor.Error{Status: 400}, 502, "executor_error", noRetry},
		{"the executor says 500", &executor.Error{Status: 500}, 502, "executor_error", noRetry},
		{"the executor says 503", &executor.Error{Status: 503}, 502, "executor_error", noRetry},
		{"the executor says that its client left", &executor.Error{Status: 499}, 502, "executor_error", noRetry},
		{"the executor cannot be reached", &executor.Error{Err: broken}, 502, "executor_unavailable", noRetry},
		{"the executor names no address", &executor.Error{Status: 200, Err: executor.ErrBadAddress}, 502, "bad_address", noRetry},
		{"the executor answers nothing", endpoint.ErrNoAddress, 502, "executor_error", noRetry},
		{"the address never listened", &endpoint.AddressError{Err: broken}, 502, "connection_refused", noRetry},
		{"the address never answered", &endpoint.AddressError{Timeout: true}, 502, "dial_timeout", noRetry},
		{"attempts used up: refused", attemptOf(retry.Refused, broken), 502, "connection_refused", noRetry},
		{"attempts used up: timed out", attemptOf(retry.DialTimeout, context.DeadlineExceeded), 502, "dial_timeout", noRetry},
		{"reset after the request was sent", attemptOf(retry.Sent, broken), 502, "function_error", noRetry},
		{"end after the request was sent", attemptOf(retry.Sent, io.ErrUnexpectedEOF), 502, "function_error", noRetry},
		{"reused connections died again and again", attemptOf(retry.Stale, io.EOF), 502, "function_error", noRetry},
		{"the waiting room is full", &endpoint.BusyError{Err: endpoint.ErrWaitingRoomFull, RetryAfter: 2 * time.Second}, 503, "waiting_room_full", 2 * time.Second},
		{"no place under concurrency", &endpoint.BusyError{Err: endpoint.ErrConcurrencyLimit, RetryAfter: 3 * time.Second}, 503, "concurrency_limit", 3 * time.Second},
		{"the program does not run", programError{}, 502, "executor_error", noRetry},
		{"there is no such program", programError{notFound: true}, 502, "function_not_found", noRetry},
		{"the program is not ready in time", programError{late: true}, 504, "cold_start_timeout", noRetry},
		{"the client's body broke off", &invoke.ClientBodyError{Err: io.ErrUnexpectedEOF}, 400, "request_body", noRetry},
		{"the client stopped sending its body", &invoke.ClientBodyError{Err: invoke.ErrBodyStalled}, 408, "request_body", noRetry},
		{"the request has no spelling", &invoke.InvalidRequestError{Err: broken}, 400, "bad_request", noRetry},
		{"the client's body is larger than the site takes", &invoke.ClientBodyError{Err: &http.MaxBytesError{Limit: 1}}, 413, "request_body", noRetry},
		{"the client's body is what a handler before objects to", &invoke.ClientBodyError{Err: caddyhttp.Error(http.StatusUnsupportedMediaType, broken)}, 415, "request_body", noRetry},
		{"the pool is closed", endpoint.ErrClosed, 502, "executor_error", noRetry},
		{"anything else", broken, 502, "executor_error", noRetry},
	}
	missing := maps.Clone(titles)
	for _, test := range cases {
		f := fail(test.err)
		if f.status != test.status || f.reason != test.reason || f.retryAfter != test.retry {
			t.Errorf("%s: got %d %s, Retry-After %v; want %d %s, %v", test.name, f.status, f.reason, f.retryAfter, test.status, test.reason, test.retry)
		}
		if titles[f.reason] == "" {
			t.Errorf("%s: got no title for %s, want one", test.name, f.reason)
		}
		delete(missing, f.reason)
	}
	if len(missing) > 0 {
		t.Errorf("got no case for %q, want one for each reason", slices.Sorted(maps.Keys(missing)))
	}
}

func TestProblemTellsDetailOnlyWithDebug(t *testing.T) {
	f := fail(fmt.Errorf("starting: %w", programError{}))
	for debug, want := range map[bool]string{
		false: "The executor could not provide the function.",
		true:  "starting: exit status 3\nthe last line",
	} {
		got := f.problem("default/hello", "id-1", debug)
		if got != (problem{
			Type: "urn:kubefaas:error:executor_error", Title: "The executor could not provide the function",
			Status: 502, Detail: want, Reason: "executor_error", Function: "default/hello", RequestID: "id-1",
		}) {
			t.Errorf("debug %t: got %+v, want detail %q", debug, got, want)
		}
	}
}

func TestFailureIsWrittenAsAProblem(t *testing.T) {
	names := newHeaderNames("Acme")
	f := &failure{status: 503, reason: reasonWaitingRoomFull, retryAfter: 1500 * time.Millisecond, allow: []string{"GET", "HEAD"}}
	w := httptest.NewRecorder()
	f.header(w.Header(), &names)
	if err := f.write(w, f.problem("", "id-1", true)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Acme-Error": "waiting_room_full", "Retry-After": "2", "Allow": "GET, HEAD", "Cache-Control": "no-store",
		"Content-Type": "application/problem+json", "Content-Length": fmt.Sprint(w.Body.Len()),
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 503 {
		t.Fatalf("got %d, %v: %s; want 503 and JSON", w.Code, err, w.Body)
	}
	if keys := strings.Join(slices.Sorted(maps.Keys(got)), " "); keys != "detail reason request_id status title type" {
		t.Errorf("got keys %q, want those of a problem without a function", keys)
	}
}
