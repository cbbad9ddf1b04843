package route

import (
	"fmt"
	"strings"
)

// Step is one thing that was tried to match a request.
type Step struct {
	// Host is the host of the triggers that were looked at; empty for those
	// without one.
	Host string
	// Pattern is the trigger's, or as much of one as was looked at.
	Pattern string
	// Trigger is the trigger that was tried; nil if the step is about all that
	// begin with Pattern.
	Trigger *Trigger
	// Matched is set on the last step if it found the trigger.
	Matched bool
	// Reason says in a sentence why it matched or not.
	Reason string
}

// Explain matches a request and tells what was tried, in order. It is slower
// than Match.
func (t *Table) Explain(q Request) []Step {
	s := search{method: q.Method, verb: verbOf(q.Method), tracing: true}
	if !s.path.set(&q) {
		return []Step{{Reason: fmt.Sprintf("no trigger matches the path %q: it does not begin with '/', or has both an encoded slash and a dot segment", q.Path)}}
	}
	host := appendHost(nil, q.Host)
	if t.search(&s, host); len(s.steps) == 0 {
		return []Step{{Reason: fmt.Sprintf("no trigger is for the host %q, and none is without a host", q.Host)}}
	}
	return s.steps
}

// prefix is the pattern up to a node.
func (f *frame) prefix() string {
	if f.up == nil {
		return ""
	}
	return f.up.prefix() + "/" + f.text
}

// miss notes that no trigger goes on here.
func (s *search) miss(f *frame, next, reason string) {
	if s.tracing {
		s.steps = append(s.steps, Step{Host: s.host, Pattern: f.prefix() + "/" + next, Reason: reason})
	}
}

// longer notes that the path goes on where the triggers' pattern ends.
func (s *search) longer(l *leaf) {
	if !s.tracing {
		return
	}
	for e := range l.all {
		s.note(e, false, "the path goes on after the pattern")
	}
}

// denies notes that the trigger does not serve the method.
func (s *search) denies(e *entry) {
	if s.tracing {
		served := e.methods.serves()
		s.note(e, false, "path and host match, the method does not: it serves "+strings.Join(served.names(), ", "))
	}
}

// matches notes that the trigger serves the request.
func (s *search) matches(e *entry) {
	if s.tracing {
		s.note(e, true, "host, path and method match")
	}
}

func (s *search) note(e *entry, matched bool, reason string) {
	s.steps = append(s.steps, Step{Host: s.host, Pattern: e.Path, Trigger: &e.Trigger, Matched: matched, Reason: reason})
}
