package route

import (
	"cmp"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
)

// matcher is a regular expression for one place of a pattern. The names of the
// variables are not part of it, so that patterns share it.
type matcher struct {
	// expr is the expression without its anchors.
	expr string
	// source is the segment as the first pattern has it, for messages.
	source string
	// literal is the number of bytes of literal text around the variables.
	literal int
	// spans is set if the expression may match more than one segment: if it
	// can match a '/'.
	spans bool

	// re and prog are made when a request first gets here: compiled, an
	// expression takes some 3 kB, and 100,000 of them seconds.
	once sync.Once
	re   *regexp.Regexp
	prog *syntax.Prog
}

// regexp is the expression anchored at both ends.
func (x *matcher) regexp() *regexp.Regexp {
	x.once.Do(x.compile)
	return x.re
}

// program is the expression for a simulation.
func (x *matcher) program() *syntax.Prog {
	x.once.Do(x.compile)
	return x.prog
}

// compile compiles what the parser has parsed without an error.
func (x *matcher) compile() {
	x.re = regexp.MustCompile(anchored(x.expr))
	if !x.spans {
		return
	}
	tree, err := syntax.Parse(x.expr, syntax.Perl)
	if err == nil {
		x.prog, err = syntax.Compile(tree.Simplify())
	}
	if err != nil {
		panic(fmt.Sprintf("route: expression %q, which was parsed before: %v", x.expr, err))
	}
}

func anchored(expr string) string { return `\A(?:` + expr + `)\z` }

// compare orders two expressions in one place: see the package's doc.
func (x *matcher) compare(o *matcher) int {
	if x == o {
		return 0
	}
	if x.spans != o.spans {
		if x.spans {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(o.literal, x.literal), strings.Compare(x.expr, o.expr))
}

// piece is literal text (name empty), or a variable and its expression.
type piece struct {
	text, name, expr string
}

// mixed parses a segment that holds at least one variable beside literal text,
// other variables or an expression.
func (p *parser) mixed(part string) (segment, error) {
	pieces, err := splitSegment(part)
	if err != nil {
		return segment{}, err
	}
	seg := segment{kind: expression}
	spans, literalLen, groups := false, 0, 0
	for i := range pieces {
		pc := &pieces[i]
		if pc.name == "" {
			literalLen += len(pc.text)
			continue
		}
		v := capture{name: pc.name, group: groups + 1}
		groups++
		if pc.expr != "" {
			parsed, err := p.parse(pc.expr)
			if err != nil {
				return segment{}, fmt.Errorf("variable {%s}: %w", pc.name, err)
			}
			groups += parsed.groups
			spans = spans || parsed.slash
		}
		seg.vars = append(seg.vars, v)
	}
	if len(pieces) == 1 {
		seg.text, seg.vars = pieces[0].name, nil
	}
	seg.expr, err = p.matcher(part, join(pieces, spans), literalLen, spans)
	return seg, err
}

// splitSegment cuts a segment into literal text and variables.
func splitSegment(part string) ([]piece, error) {
	var pieces []piece
	for part != "" {
		if part[0] != '{' {
			end := strings.IndexByte(part, '{')
			if end < 0 {
				end = len(part)
			}
			text, err := literalText(part[:end])
			if err != nil {
				return nil, err
			}
			pieces = append(pieces, piece{text: text})
			part = part[end:]
			continue
		}
		end, err := closing(part, 0)
		if err != nil {
			return nil, err
		}
		name, expr, found := strings.Cut(part[1:end], ":")
		if err := checkVariable(name); err != nil {
			return nil, err
		}
		if found && expr == "" {
			return nil, fmt.Errorf("variable {%s:} has an empty regular expression", name)
		}
		pieces = append(pieces, piece{name: name, expr: expr})
		part = part[end+1:]
	}
	return pieces, nil
}

// join writes the pieces as one expression. A variable without one of its own is
// [^/]+; where the segment is matched by itself, a '/' in it came encoded and
// belongs to it.
func join(pieces []piece, spans bool) string {
	var b strings.Builder
	for _, pc := range pieces {
		switch {
		case pc.name == "":
			b.WriteString(regexp.QuoteMeta(pc.text))
		case pc.expr != "":
			b.WriteString("(" + pc.expr + ")")
		case spans:
			b.WriteString("([^/]+)")
		default:
			b.WriteString("((?s:.+))")
		}
	}
	return b.String()
}

// matcher returns the matcher of an expression, the same one for the same text.
func (p *parser) matcher(source, expr string, literalLen int, spans bool) (*matcher, error) {
	if x := p.matchers[expr]; x != nil {
		return x, nil
	}
	if _, err := syntax.Parse(anchored(expr), syntax.Perl); err != nil {
		return nil, err
	}
	x := &matcher{source: source, expr: expr, literal: literalLen, spans: spans}
	p.matchers[expr] = x
	return x, nil
}

// parsed is what is to know of a variable's own expression: its groups, and
// whether it can match a '/'.
type parsed struct {
	groups int
	slash  bool
}

// parse parses a variable's own expression.
func (p *parser) parse(expr string) (parsed, error) {
	if known, ok := p.parsed[expr]; ok {
		return known, nil
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return parsed{}, err
	}
	p.parsed[expr] = parsed{tree.MaxCap(), matchesSlash(tree)}
	return p.parsed[expr], nil
}

// matchesSlash reports whether some text that the expression matches may hold a
// '/'.
func matchesSlash(tree *syntax.Regexp) bool {
	switch tree.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return slices.Contains(tree.Rune, '/')
	case syntax.OpCharClass:
		for i := 0; i < len(tree.Rune); i += 2 {
			if tree.Rune[i] <= '/' && '/' <= tree.Rune[i+1] {
				return true
			}
		}
	}
	return slices.ContainsFunc(tree.Sub, matchesSlash)
}
