package process

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kubefaas/caddy-kubefaas/function"
)

var (
	// ErrAtMaximum is returned by EnsureCapacity when the function has as
	// many instances as it may have.
	ErrAtMaximum error = &sentinel{"all instances that the function may have are running", true}
	// ErrClosed is returned once the runtime was closed.
	ErrClosed error = &sentinel{"the process executor is closed", true}
	// ErrStartTimeout is in the StartError of a program that was not ready
	// within its start_timeout.
	ErrStartTimeout error = &sentinel{"it was not ready in time", false}

	// errRetired is what those get who wait for an instance that a newer
	// configuration took away: they ask that configuration's.
	errRetired = errors.New("the function's configuration was replaced")
)

// stateKilled is the State of a program that got SIGKILL.
const stateKilled = "signal: killed"

type sentinel struct {
	text      string
	temporary bool
}

func (s *sentinel) Error() string   { return s.text }
func (s *sentinel) Temporary() bool { return s.temporary }

// NotFoundError is returned for a function that has no program.
type NotFoundError struct{ Function function.Ref }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("function %s: no program is configured for it", e.Function)
}

// NotFound is true.
func (e *NotFoundError) NotFound() bool { return true }

// Temporary is false: asking again does not help.
func (e *NotFoundError) Temporary() bool { return false }

// ExitError is a program that ended without having been told to.
type ExitError struct {
	Function function.Ref
	Pid      int
	// State is how it ended: "exit status 3", "signal: killed".
	State string
	// AtStart is whether it ended before it was ready.
	AtStart bool
	// Tail is the end of its output: the last 20 lines.
	Tail []string
}

func (e *ExitError) Error() string {
	when := "while it was running"
	if e.AtStart {
		when = "before it was ready"
	}
	return fmt.Sprintf("function %s (pid %d) ended %s: %s", e.Function, e.Pid, when, e.State)
}

// Detail is the error and the end of the program's output, a line each.
func (e *ExitError) Detail() string { return detail(e, e.Tail) }

// Temporary is false: the same program will most likely end the same way.
func (e *ExitError) Temporary() bool { return false }

// StartError is a program that could not be started, or was not ready in
// time (then ErrStartTimeout is in it).
type StartError struct {
	Function function.Ref
	// Pid is 0 when there never was a process.
	Pid int
	Err error
	// Tail is the end of its output: the last 20 lines.
	Tail []string
}

func (e *StartError) Error() string {
	if e.Pid == 0 {
		return fmt.Sprintf("starting function %s: %v", e.Function, e.Err)
	}
	return fmt.Sprintf("starting function %s (pid %d): %v", e.Function, e.Pid, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// Detail is the error and the end of the program's output, a line each.
func (e *StartError) Detail() string { return detail(e, e.Tail) }

// Temporary is false: the same program will most likely fail the same way.
func (e *StartError) Temporary() bool { return false }

// Timeout is whether the program ran but was not ready in time.
func (e *StartError) Timeout() bool { return errors.Is(e.Err, ErrStartTimeout) }

func detail(err error, tail []string) string {
	return strings.Join(append([]string{err.Error()}, tail...), "\n")
}

var portTakenText = regexp.MustCompile(`(?i)address (is )?already in use|EADDRINUSE`)

// portTaken guesses from what a program said last whether somebody else took
// its port between our choosing it and its listening.
func portTaken(err error) bool {
	exit, ok := errors.AsType[*ExitError](err)
	return ok && exit.AtStart && portTakenText.MatchString(strings.Join(exit.Tail, "\n"))
}

// killed tells a program that somebody else killed at its start from one that
// ended of itself: what became of the one says nothing of the next.
func killed(err error) bool {
	exit, ok := errors.AsType[*ExitError](err)
	return ok && exit.AtStart && exit.State == stateKilled
}
