package retry

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// Outcome is what became of an attempt, as far as a next one depends on it.
type Outcome int

// Outcomes. The zero value is the one after which nothing is repeated.
const (
	// Sent: the request may have reached the function, or an answer came.
	Sent Outcome = iota
	// Refused: no connection was made, and it did not take a time-out to know.
	Refused
	// DialTimeout: no connection was made in the attempt's dial timeout.
	DialTimeout
	// Stale: a reused connection died before any byte of the response, under
	// a request that can be replayed.
	Stale
	// ExecutorFailed: the executor gave no address. Its client and the shared
	// flight have retried already.
	ExecutorFailed
	// ClientGone: nobody waits for the answer any more.
	ClientGone
)

var outcomes = [...]string{"sent", "refused", "dial_timeout", "stale", "executor_failed", "client_gone"}

// String is the outcome as a metric's label.
func (o Outcome) String() string {
	if o < 0 || int(o) >= len(outcomes) {
		return "unknown"
	}
	return outcomes[o]
}

// Exchange is what the caller knows about an attempt beside its error. The
// zero value claims nothing, so that nothing is repeated because of it.
type Exchange struct {
	// ClientGone: the client's context is done.
	ClientGone bool
	// Resolving: the error is the executor's, no address was held.
	Resolving bool
	// Dialing: the error is the dialer's; no byte of the request was sent.
	Dialing bool
	// Reused: the connection had served an earlier request.
	Reused bool
	// Answered: at least one byte of the response came.
	Answered bool
	// Replayable is Request.Replayable's verdict.
	Replayable bool
}

// Classify tells the outcome of an attempt that ended with err.
func Classify(err error, x Exchange) Outcome {
	switch {
	case x.ClientGone:
		return ClientGone
	case err == nil:
		return Sent
	case x.Resolving:
		return ExecutorFailed
	case x.Answered:
		return Sent
	case x.Dialing || isDial(err):
		if isTimeout(err) {
			return DialTimeout
		}
		return Refused
	case x.Reused && x.Replayable && !isTimeout(err):
		return Stale
	}
	return Sent
}

// isDial reports whether an error proves by itself that no connection was
// made. EHOSTUNREACH and its like can also end an established connection, so
// they count only from connect(2).
func isDial(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial"
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok && call.Syscall == "connect" {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
