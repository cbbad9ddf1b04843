package route

import (
	"fmt"
	"slices"
	"strings"
)

// verb is the bit of a well-known method; 0 is any other.
type verb uint16

const (
	get verb = 1 << iota
	head
	post
	put
	patch
	del
	connect
	options
	trace
)

// verbOf is the bit of a method.
func verbOf(method string) verb {
	switch method {
	case "GET":
		return get
	case "HEAD":
		return head
	case "POST":
		return post
	case "PUT":
		return put
	case "PATCH":
		return patch
	case "DELETE":
		return del
	case "CONNECT":
		return connect
	case "OPTIONS":
		return options
	case "TRACE":
		return trace
	}
	return 0
}

// methodSet is the methods that a trigger claims.
type methodSet struct {
	// every is set if no method is named: all are claimed.
	every bool
	verbs verb
	// others are the methods that have no bit.
	others []string
}

// methods checks a trigger's methods and returns them upper-cased, and as a set.
func methods(names []string) ([]string, methodSet, error) {
	if len(names) == 0 {
		return nil, methodSet{every: true}, nil
	}
	set := methodSet{}
	upper := make([]string, len(names))
	for i, name := range names {
		if !isToken(name) {
			return nil, set, fmt.Errorf("method %q is not a method", name)
		}
		name = strings.ToUpper(name)
		if slices.Contains(upper[:i], name) {
			return nil, set, fmt.Errorf("method %s is named twice", name)
		}
		upper[i] = name
		if v := verbOf(name); v != 0 {
			set.verbs |= v
		} else {
			set.others = append(set.others, name)
		}
	}
	return upper, set, nil
}

// claims reports whether the set has the method; v is its bit.
func (s *methodSet) claims(method string, v verb) bool {
	return s.every || s.verbs&v != 0 || v == 0 && slices.Contains(s.others, method)
}

// common names a method that both sets claim, or nothing.
func (s *methodSet) common(o *methodSet) string {
	switch {
	case s.every && o.every:
		return "every method"
	case s.every:
		return o.any()
	case o.every:
		return s.any()
	}
	for _, name := range s.names() {
		if o.claims(name, verbOf(name)) {
			return name
		}
	}
	return ""
}

// any names one of the methods.
func (s *methodSet) any() string { return s.names()[0] }

// names are the methods, sorted.
func (s *methodSet) names() []string {
	names := slices.Clone(s.others)
	for _, name := range [...]string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"} {
		if s.verbs&verbOf(name) != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// serves is the set as a client sees it: with HEAD where GET is.
func (s methodSet) serves() methodSet {
	if s.verbs&get != 0 {
		s.verbs |= head
	}
	return s
}

// add puts the methods that o serves into the set.
func (s *methodSet) add(o *methodSet) {
	served := o.serves()
	s.verbs |= served.verbs
	for _, name := range served.others {
		if !slices.Contains(s.others, name) {
			s.others = append(s.others, name)
		}
	}
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2): what methods
// and the names of headers and cookies are made of.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
