package route

import (
	"bytes"
	"sync"
)

// Match is what Table.Match found. The caller keeps it and may use it again for
// the next request, which then costs no allocation.
type Match struct {
	// Trigger is the table's copy of the trigger, hosts and methods in the case
	// they are compared in; nil unless the outcome is Matched. It is shared and
	// not to be modified.
	Trigger *Trigger
	// Picker chooses among Trigger.Functions.
	Picker *Picker
	// Host is that one of the trigger's hosts which matched; empty for a trigger
	// without hosts.
	Host string
	// Prefix tells that the pattern is a prefix: Rest has what follows it.
	Prefix bool
	// Params are the path's variables in the order of the pattern.
	Params []Param
	// Allow are the methods that triggers of this host and path serve, sorted;
	// only if the outcome is MethodNotAllowed.
	Allow []string

	// text and raw are the request's path, cleaned: see requestPath.
	text, raw string
	rest      int
}

// Param is a path variable.
type Param struct {
	Name string
	// Value is decoded. It comes from the client: it may hold any byte.
	Value string
	// from and to are where in the path's text it stands.
	from, to int32
}

// Escaped is the value of Params[i] as it was escaped in the request.
func (m *Match) Escaped(i int) string {
	p := &m.Params[i]
	return escaped(m.text, m.raw, int(p.from), int(p.to))
}

// Value is the decoded value of a variable.
func (m *Match) Value(name string) (value string, found bool) {
	for i := range m.Params {
		if m.Params[i].Name == name {
			return m.Params[i].Value, true
		}
	}
	return "", false
}

// Rest is the decoded path after the prefix: it begins with '/', and is "/" if
// nothing follows. The path is the cleaned one. For an exact pattern it is "/".
func (m *Match) Rest() string {
	if m.rest >= len(m.text) {
		return "/"
	}
	return m.text[m.rest:]
}

// EscapedRest is Rest as it was escaped in the request.
func (m *Match) EscapedRest() string {
	if m.rest >= len(m.text) {
		return "/"
	}
	return escaped(m.text, m.raw, m.rest, len(m.text))
}

// Match finds the trigger of a request and fills in m, which must not be nil.
// It is safe for concurrent use, each with its own Match.
func (t *Table) Match(q Request, m *Match) Outcome {
	s := searches.Get().(*search)
	s.method, s.verb = q.Method, verbOf(q.Method)
	s.match.Params = m.Params[:0]
	outcome := t.match(&q, s)
	*m = s.match
	*s = search{}
	searches.Put(s)
	return outcome
}

// searches keeps them off the stack: under Caddy the usual search just fits
// into the 8 KiB that a connection's stack has, and a stack that has grown stays
// so while the request waits, with thousands of others, for its function.
var searches = sync.Pool{New: func() any { return new(search) }}

func (t *Table) match(q *Request, s *search) Outcome {
	if !s.path.set(q) {
		return NoRoute
	}
	var host []byte
	if len(t.exact)+len(t.wildcard) > 0 {
		var buf [maxHost]byte
		host = appendHost(buf[:0], q.Host)
	}
	if t.search(s, host) {
		return Matched
	}
	if !s.denied {
		return NoRoute
	}
	// Only now, so that the usual request does not collect what it never needs.
	s.allow = new(methodSet)
	t.search(s, host)
	s.match.Allow = s.allow.names()
	return MethodNotAllowed
}

// search looks into the trees that a host belongs to.
func (t *Table) search(s *search, host []byte) bool {
	if len(host) > 0 {
		if tree := t.exact[string(host)]; tree != nil && s.tree(tree) {
			return true
		}
		if dot := bytes.IndexByte(host, '.'); dot > 0 {
			if tree := t.wildcard[string(host[dot+1:])]; tree != nil && s.tree(tree) {
				return true
			}
		}
	}
	return t.any != nil && s.tree(t.any)
}
