package kubefaas

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/invoke"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// Reasons of failures, as `{http.kubefaas.error.reason}`, the problem body and
// the error header name them.
const (
	reasonNoRoute             = "no_route"
	reasonMethodNotAllowed    = "method_not_allowed"
	reasonClientClosed        = "client_closed"
	reasonFunctionTimeout     = "function_timeout"
	reasonColdStartTimeout    = "cold_start_timeout"
	reasonCapacityExceeded    = "capacity_exceeded"
	reasonExecutorError       = "executor_error"
	reasonFunctionNotFound    = "function_not_found"
	reasonExecutorUnavailable = "executor_unavailable"
	reasonConnectionRefused   = "connection_refused"
	reasonDialTimeout         = "dial_timeout"
	reasonFunctionError       = "function_error"
	reasonWaitingRoomFull     = "waiting_room_full"
	reasonConcurrencyLimit    = "concurrency_limit"
	reasonBadAddress          = "bad_address"
	reasonNoFunction          = "no_function"
	reasonRequestBody         = "request_body"
	reasonBadRequest          = "bad_request"
)

// statusClientClosed is what access logs show for a client that left.
const statusClientClosed = 499

// defaultRetryAfter is what a client is told where nobody knows better.
const defaultRetryAfter = time.Second

// failure is an error with all that a client is told of it.
type failure struct {
	status int
	reason string
	// retryAfter is for the Retry-After header; 0 is none.
	retryAfter time.Duration
	// allow is for the Allow header.
	allow []string
	err   error
}

// Error says what failed and why.
func (f *failure) Error() string {
	if f.err == nil {
		return f.reason
	}
	return f.reason + ": " + f.err.Error()
}

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// titles say in a sentence what each reason means to a client.
var titles = map[string]string{
	reasonNoRoute:             "No function is routed here",
	reasonMethodNotAllowed:    "The method is not allowed here",
	reasonClientClosed:        "The client closed the request",
	reasonFunctionTimeout:     "The function did not answer in time",
	reasonColdStartTimeout:    "The function did not start in time",
	reasonCapacityExceeded:    "The platform has no capacity for the function",
	reasonExecutorError:       "The executor could not provide the function",
	reasonFunctionNotFound:    "The executor does not know the function",
	reasonExecutorUnavailable: "The executor cannot be reached",
	reasonConnectionRefused:   "The function's address refuses connections",
	reasonDialTimeout:         "The function's address does not answer",
	reasonFunctionError:       "The function broke the exchange off",
	reasonWaitingRoomFull:     "Too many requests wait already",
	reasonConcurrencyLimit:    "The function is busy",
	reasonBadAddress:          "The executor named an address that is none",
	reasonNoFunction:          "The trigger has no function to pick",
	reasonRequestBody:         "The request's body could not be read",
	reasonBadRequest:          "The request cannot be passed on",
}

// fail is the one place where an error becomes a status and a reason.
func fail(err error) *failure {
	f := &failure{status: http.StatusBadGateway, err: err}
	var (
		known    *failure
		attempt  *invoke.AttemptError
		body     *invoke.ClientBodyError
		invalid  *invoke.InvalidRequestError
		address  *endpoint.AddressError
		busy     *endpoint.BusyError
		ofCall   *executor.Error
		explicit caddyhttp.HandlerError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &body):
		f.status, f.reason = http.StatusBadRequest, reasonRequestBody
		if errors.Is(err, invoke.ErrBodyStalled) {
			f.status = http.StatusRequestTimeout
		} else if errors.As(err, &explicit) {
			f.status = explicit.StatusCode
		} else if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			f.status = http.StatusRequestEntityTooLarge
		}
	case errors.As(err, &invalid):
		f.status, f.reason = http.StatusBadRequest, reasonBadRequest
	case errors.Is(err, invoke.ErrFunctionTimeout):
		f.status, f.reason = http.StatusGatewayTimeout, reasonFunctionTimeout
	case errors.As(err, &busy):
		f.status, f.reason, f.retryAfter = http.StatusServiceUnavailable, reasonWaitingRoomFull, busy.RetryAfter
		if errors.Is(err, endpoint.ErrConcurrencyLimit) {
			f.reason = reasonConcurrencyLimit
		}
	case errors.As(err, &address):
		f.reason = dialReason(address.Timeout)
	case errors.As(err, &attempt):
		f.reason = attemptReason(attempt)
	case errors.As(err, &ofCall):
		f.ofExecutor(ofCall)
	case errors.Is(err, endpoint.ErrColdStartTimeout), errors.Is(err, context.DeadlineExceeded):
		f.status, f.reason = http.StatusGatewayTimeout, reasonColdStartTimeout
	case errors.Is(err, context.Canceled):
		f.status, f.reason = statusClientClosed, reasonClientClosed
	default:
		f.ofProgram(err)
	}
	return f
}

func dialReason(timeout bool) string {
	if timeout {
		return reasonDialTimeout
	}
	return reasonConnectionRefused
}

func attemptReason(e *invoke.AttemptError) string {
	switch e.Outcome {
	case retry.Refused:
		return reasonConnectionRefused
	case retry.DialTimeout:
		return reasonDialTimeout
	}
	return reasonFunctionError
}

func (f *failure) ofExecutor(e *executor.Error) {
	switch {
	case e.BadAddress():
		f.reason = reasonBadAddress
	case e.Capacity():
		f.status, f.reason = http.StatusTooManyRequests, reasonCapacityExceeded
		if f.retryAfter = e.RetryAfter; f.retryAfter == 0 {
			f.retryAfter = defaultRetryAfter
		}
	case e.NotFound():
		f.reason = reasonFunctionNotFound
	case e.Status == 0 && errors.Is(e, context.DeadlineExceeded):
		f.status, f.reason = http.StatusGatewayTimeout, reasonColdStartTimeout
	case e.Unavailable():
		f.reason = reasonExecutorUnavailable
	default:
		f.reason = reasonExecutorError
	}
}

// ofProgram is the failure of an executor on this machine.
func (f *failure) ofProgram(err error) {
	f.reason = reasonExecutorError
	var missing interface{ NotFound() bool }
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &missing) && missing.NotFound():
		f.reason = reasonFunctionNotFound
	case errors.As(err, &late) && late.Timeout():
		f.status, f.reason = http.StatusGatewayTimeout, reasonColdStartTimeout
	}
}

// problem is the body of a failure: RFC 9457.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Reason    string `json:"reason"`
	Function  string `json:"function,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// problemType begins the type of every problem; its last part is the reason.
const problemType = "urn:kubefaas:error:"

// problem is what the client is told. The error's own text, with addresses and
// the executor's words, is for those who asked for it.
func (f *failure) problem(function, requestID string, debug bool) problem {
	p := problem{
		Type:      problemType + f.reason,
		Title:     titles[f.reason],
		Status:    f.status,
		Detail:    titles[f.reason] + ".",
		Reason:    f.reason,
		Function:  function,
		RequestID: requestID,
	}
	if debug && f.err != nil {
		p.Detail = detail(f.err)
	}
	return p
}

// detail is all that an error knows, the last lines of a crashed program's
// output included.
func detail(err error) string {
	var d interface{ Detail() string }
	text := err.Error()
	if !errors.As(err, &d) {
		return text
	}
	more := d.Detail()
	if strings.HasPrefix(more, text) {
		return more
	}
	return text + "\n" + more
}

// header writes what belongs into the head of the failure's response.
func (f *failure) header(h http.Header, names *headerNames) {
	h[names.err] = []string{f.reason}
	if f.retryAfter > 0 {
		seconds := int64((f.retryAfter + time.Second - 1) / time.Second)
		h["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	}
	if f.allow != nil {
		h["Allow"] = []string{join(f.allow)}
	}
}

// write answers with the problem.
func (f *failure) write(w http.ResponseWriter, p problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.status)
	_, err = w.Write(body)
	return err
}

// handlerError is the failure as Caddy's error routes take it.
// Its text is what error routes show as {err.message}: internal detail is in it
// only with debug.
func (f *failure) handlerError(debug bool) caddyhttp.HandlerError {
	if debug {
		return caddyhttp.Error(f.status, f)
	}
	return caddyhttp.Error(f.status, &discreet{f})
}

// discreet is a failure that does not tell its cause.
type discreet struct{ failure *failure }

// Error says what failed, and no more.
func (d *discreet) Error() string { return titles[d.failure.reason] }

// Unwrap returns the failure, for whoever looks at it by its type.
func (d *discreet) Unwrap() error { return d.failure }

// hasErrorRoute says whether the site's handle_errors would answer a failure.
// Caddy itself only answers an empty body where they do not.
func hasErrorRoute(r *http.Request, err caddyhttp.HandlerError) bool {
	srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || srv.Errors == nil || len(srv.Errors.Routes) == 0 {
		return false
	}
	return anyRoute(srv.Errors.Routes, srv.Errors.WithError(r, err))
}

// anyRoute says whether a route that does something matches the request.
func anyRoute(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		if matches, err := route.MatcherSets.AnyMatchWithError(r); err != nil || !matches {
			continue
		}
		for _, handler := range route.Handlers {
			if sub, ok := handler.(*caddyhttp.Subroute); !ok || anyRoute(sub.Routes, r) {
				return true
			}
		}
	}
	return false
}

// replacerOf is the request's replacer.
func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}
