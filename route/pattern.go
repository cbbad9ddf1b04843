package route

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// kind is what stands in one place of a pattern. The order is the precedence.
type kind uint8

const (
	literal kind = iota
	expression
	variable
	exactEnd
	prefixEnd
)

// segment is one place of a pattern.
type segment struct {
	kind kind
	// plain is set for a literal that stands in the pattern as it is compared:
	// nothing is escaped.
	plain bool
	// from is where in the pattern the segment begins.
	from int32
	// text is a literal, decoded; or the name of a variable whose value is all
	// that the segment matches.
	text string
	// expr is an expression's matcher, shared by all segments of its text.
	expr *matcher
	// vars are the variables of a segment that has others, or text, beside them.
	vars []capture
}

// capture is a variable and the group of the expression that holds its value.
type capture struct {
	name  string
	group int
}

// pattern is a parsed path pattern.
type pattern struct {
	segments []segment
	// vars is the number of variables.
	vars   int32
	prefix bool
}

// parser parses patterns and shares the expressions between them.
type parser struct {
	matchers map[string]*matcher
	parsed   map[string]parsed
}

func newParser() *parser {
	return &parser{make(map[string]*matcher), make(map[string]parsed)}
}

var (
	errRelative = errors.New("the path does not begin with '/'")
	errStar     = errors.New("'*' may only stand at the end, after '/' (a star in the text is written %2A)")
)

// pattern parses a path pattern.
func (p *parser) pattern(s string) (pattern, error) {
	if !strings.HasPrefix(s, "/") {
		return pattern{}, errRelative
	}
	parts, err := splitPattern(s[1:])
	if err != nil {
		return pattern{}, err
	}
	var pat pattern
	if last := len(parts) - 1; parts[last] == "*" {
		parts, pat.prefix = parts[:last], true
	}
	pat.segments = make([]segment, 0, len(parts))
	from := 1
	for i, part := range parts {
		if part == "" && (i < len(parts)-1 || pat.prefix) {
			return pattern{}, errors.New("an empty segment never matches: the paths of requests are cleaned")
		}
		seg, err := p.segment(part)
		if err != nil {
			return pattern{}, err
		}
		seg.from = int32(from)
		from += len(part) + 1
		pat.segments = append(pat.segments, seg)
		pat.vars += int32(seg.variables())
	}
	return pat, pat.duplicate()
}

// variables is the number of variables in the segment.
func (s *segment) variables() int {
	if s.kind == literal || len(s.vars) > 0 {
		return len(s.vars)
	}
	return 1
}

// variable is the name of variable i of the segment.
func (s *segment) variable(i int) string {
	if len(s.vars) > 0 {
		return s.vars[i].name
	}
	return s.text
}

// duplicate says which variable occurs twice.
func (p pattern) duplicate() error {
	if p.vars < 2 {
		return nil
	}
	seen := make(map[string]bool, p.vars)
	for _, seg := range p.segments {
		for i := range seg.variables() {
			name := seg.variable(i)
			// Variables become header names, which know no case.
			if key := strings.ToLower(name); seen[key] {
				return fmt.Errorf("variable {%s} occurs twice", name)
			}
			seen[strings.ToLower(name)] = true
		}
	}
	return nil
}

// splitPattern cuts a pattern at the '/' that are in no variable.
func splitPattern(s string) ([]string, error) {
	parts := make([]string, 0, 1+strings.Count(s, "/"))
	from := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '/':
			parts = append(parts, s[from:i])
			from = i + 1
		case '{':
			end, err := closing(s, i)
			if err != nil {
				return nil, err
			}
			i = end
		case '}':
			return nil, fmt.Errorf("'}' without '{' in %q (in the text it is written %%7D)", s[from:])
		}
	}
	return append(parts, s[from:]), nil
}

// closing is the index of the brace that closes the one at open.
func closing(s string, open int) (int, error) {
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not closed with '}'", s[open:])
}

// segment parses what stands between two '/'.
func (p *parser) segment(part string) (segment, error) {
	open := strings.IndexByte(part, '{')
	if open < 0 {
		text, err := literalText(part)
		if text == "." || text == ".." {
			return segment{}, fmt.Errorf("segment %q never matches: the paths of requests are cleaned", part)
		}
		return segment{text: text, plain: text == part}, err
	}
	if end, _ := closing(part, open); open == 0 && end == len(part)-1 {
		if name := part[1:end]; !strings.Contains(name, ":") {
			return segment{kind: variable, text: name}, checkVariable(name)
		}
	}
	return p.mixed(part)
}

// literalText decodes the literal text of a pattern.
func literalText(s string) (string, error) {
	if i := strings.IndexAny(s, "*?#"); i >= 0 {
		if s[i] == '*' {
			return "", errStar
		}
		return "", fmt.Errorf("%q in %q: a pattern has no query and no fragment (in the text it is written %%%X)", s[i:i+1], s, s[i])
	}
	text, err := url.PathUnescape(s)
	if err != nil {
		return "", fmt.Errorf("%w (a percent sign in the text is written %%25)", err)
	}
	return text, nil
}

// checkVariable says what is wrong with a variable's name.
func checkVariable(name string) error {
	if name == "" {
		return errors.New("a variable has no name")
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case i > 0 && ('0' <= c && c <= '9' || c == '-'):
		default:
			return fmt.Errorf("variable name %q: a letter or '_', then letters, digits, '_' and '-'", name)
		}
	}
	return nil
}

// end is what stands after the last segment.
func (p *pattern) end() kind {
	if p.prefix {
		return prefixEnd
	}
	return exactEnd
}

// compare orders patterns by precedence; 0 means that they claim the same paths.
func (p *pattern) compare(o *pattern) int {
	for i := range min(len(p.segments), len(o.segments)) {
		if c := p.segments[i].compare(&o.segments[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(p.kindAt(len(o.segments)), o.kindAt(len(p.segments)))
}

// kindAt is the kind at place i, or the end where the pattern has none.
func (p *pattern) kindAt(i int) kind {
	if i < len(p.segments) {
		return p.segments[i].kind
	}
	return p.end()
}

// compare orders what stands in one place of two patterns.
func (s *segment) compare(o *segment) int {
	if s.kind != o.kind {
		return cmp.Compare(s.kind, o.kind)
	}
	switch s.kind {
	case literal:
		return strings.Compare(s.text, o.text)
	case expression:
		return s.expr.compare(o.expr)
	}
	return 0
}
