package kubefaas

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
)

// processEvents is told of what local functions do; `caddy kubefaas run` shows
// it on the terminal.
var processEvents atomic.Pointer[func(process.Event)]

func tellProcessEvent(e process.Event) {
	if tell := processEvents.Load(); tell != nil {
		(*tell)(e)
	}
}

// terminal shows what becomes of functions, a line each.
type terminal struct {
	mu   sync.Mutex
	out  io.Writer
	base string
}

func (t *terminal) tell(e process.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%s  %-16s %-5s", e.At.Format(time.TimeOnly), e.Function.Name, e.Kind)
	if e.Pid != 0 {
		line += fmt.Sprintf("  pid %d", e.Pid)
	}
	switch e.Kind {
	case process.EventReady:
		line += fmt.Sprintf("  after %s  %s/%s/", e.Took.Round(time.Millisecond), t.base, e.Function.Name)
	case process.EventCrash:
		line += fmt.Sprintf("  after %s  %s", e.Took.Round(time.Millisecond), crashReason(e.Err))
	}
	fmt.Fprintln(t.out, line)
}

// crashReason says why a program is gone; its name and number, and what it
// printed, are on the terminal already.
func crashReason(err error) string {
	if exit, ok := errors.AsType[*process.ExitError](err); ok {
		if exit.AtStart {
			return exit.State + ", before it was ready"
		}
		return exit.State
	}
	if start, ok := errors.AsType[*process.StartError](err); ok {
		return start.Err.Error()
	}
	return err.Error()
}
