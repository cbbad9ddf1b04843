package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

func op(name string, err error) error {
	return fmt.Errorf("attempt: %w", &net.OpError{Op: name, Net: "tcp", Err: err})
}

func TestClassify(t *testing.T) {
	sys := func(call string, no syscall.Errno) error { return os.NewSyscallError(call, no) }
	for name, c := range map[string]struct {
		err  error
		x    Exchange
		want Outcome
	}{
		"an answer":                               {nil, Exchange{}, Sent},
		"the client left during the dial":         {op("dial", context.Canceled), Exchange{ClientGone: true, Dialing: true}, ClientGone},
		"the client left, the answer came":        {nil, Exchange{ClientGone: true}, ClientGone},
		"the executor failed":                     {io.EOF, Exchange{Resolving: true}, ExecutorFailed},
		"the executor refused the connection":     {op("dial", syscall.ECONNREFUSED), Exchange{Resolving: true}, ExecutorFailed},
		"refused":                                 {op("dial", sys("connect", syscall.ECONNREFUSED)), Exchange{}, Refused},
		"no route to the host":                    {op("dial", sys("connect", syscall.EHOSTUNREACH)), Exchange{}, Refused},
		"no such host":                            {op("dial", &net.DNSError{Err: "no such host", IsNotFound: true}), Exchange{}, Refused},
		"the resolver timed out":                  {op("dial", &net.DNSError{Err: "timeout", IsTimeout: true}), Exchange{}, DialTimeout},
		"the dial timed out":                      {op("dial", timeout{}), Exchange{}, DialTimeout},
		"the dial's deadline passed":              {op("dial", context.DeadlineExceeded), Exchange{}, DialTimeout},
		"a dialer's bare deadline":                {context.DeadlineExceeded, Exchange{Dialing: true}, DialTimeout},
		"a dialer's bare error":                   {errors.New("no more ports"), Exchange{Dialing: true}, Refused},
		"the system timed the dial out":           {op("dial", sys("connect", syscall.ETIMEDOUT)), Exchange{}, DialTimeout},
		"a bare refusal":                          {syscall.ECONNREFUSED, Exchange{}, Refused},
		"connect failed, without the net package": {sys("connect", syscall.ENETUNREACH), Exchange{}, Refused},
		"a bare unreachable host":                 {syscall.EHOSTUNREACH, Exchange{}, Sent},
		"the host became unreachable":             {op("read", sys("read", syscall.EHOSTUNREACH)), Exchange{}, Sent},
		"a refusal told to a read":                {op("read", sys("read", syscall.ECONNREFUSED)), Exchange{}, Sent},
		"reset":                                   {op("read", sys("read", syscall.ECONNRESET)), Exchange{}, Sent},
		"EOF":                                     {io.EOF, Exchange{Replayable: true}, Sent},
		"the function's timeout":                  {context.DeadlineExceeded, Exchange{}, Sent},
		"a read timed out":                        {op("read", timeout{}), Exchange{}, Sent},
		"stale, replayable":                       {io.EOF, Exchange{Reused: true, Replayable: true}, Stale},
		"stale by reset, replayable":              {op("write", syscall.EPIPE), Exchange{Reused: true, Replayable: true}, Stale},
		"stale, not replayable":                   {io.EOF, Exchange{Reused: true}, Sent},
		"reused, but the response had begun":      {io.ErrUnexpectedEOF, Exchange{Reused: true, Replayable: true, Answered: true}, Sent},
		"reused, and the function's timeout":      {context.DeadlineExceeded, Exchange{Reused: true, Replayable: true}, Sent},
		"a proxied dial error, after an answer":   {op("dial", syscall.ECONNREFUSED), Exchange{Answered: true}, Sent},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Classify(c.err, c.x); got != c.want {
				t.Errorf("Classify(%v, %+v) = %v, want %v", c.err, c.x, got, c.want)
			}
		})
	}
}

func TestRealDialErrorsAreKnown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	_, refused := net.Dial("tcp", closed)
	_, late := (&net.Dialer{Deadline: time.Now().Add(-time.Second)}).Dial("tcp", closed)
	for name, c := range map[string]struct {
		err  error
		want Outcome
	}{
		"a port nobody listens on": {refused, Refused},
		"a deadline in the past":   {late, DialTimeout},
	} {
		if got := Classify(c.err, Exchange{}); got != c.want {
			t.Errorf("%s: Classify(%v) = %v, want %v", name, c.err, got, c.want)
		}
	}
}

func TestOutcomesAndActionsHaveNames(t *testing.T) {
	for o, want := range map[fmt.Stringer]string{
		Sent: "sent", Refused: "refused", DialTimeout: "dial_timeout", Stale: "stale",
		ExecutorFailed: "executor_failed", ClientGone: "client_gone", Outcome(-1): "unknown", Outcome(6): "unknown",
		Final: "final", SameAddress: "same_address", Invalidate: "invalidate", Action(-1): "unknown", Action(3): "unknown",
	} {
		if got := o.String(); got != want {
			t.Errorf("%T(%d).String() = %q, want %q", o, o, got, want)
		}
	}
}

// Every combination, against the rule written as a sentence per column.
func TestReplayable(t *testing.T) {
	safe := map[string]bool{
		"": true, "GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true,
		"POST": false, "PUT": false, "PATCH": false, "DELETE": false, "CONNECT": false, "get": false, "PURGE": false,
	}
	for method, isSafe := range safe {
		for _, key := range []bool{false, true} {
			for _, written := range []bool{false, true} {
				for _, body := range []Body{Consumed, Untouched, Buffered} {
					r := Request{method, key, body, written}
					want := body != Consumed && (isSafe || key || !written)
					if got := r.Replayable(); got != want {
						t.Errorf("%+v.Replayable() = %v, want %v", r, got, want)
					}
				}
			}
		}
	}
	if (Request{}).Replayable() {
		t.Error("a request of which nothing is known is replayable, want it not to be")
	}
}

func TestIdempotencyKey(t *testing.T) {
	for name, c := range map[string]struct {
		header http.Header
		want   bool
	}{
		"none":           {http.Header{"Content-Type": {"text/plain"}}, false},
		"nil":            {nil, false},
		"the key":        {http.Header{"Idempotency-Key": {"a"}}, true},
		"its older name": {http.Header{"X-Idempotency-Key": {"a"}}, true},
		"an empty key":   {http.Header{"Idempotency-Key": nil}, true},
	} {
		if got := HasIdempotencyKey(c.header); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
