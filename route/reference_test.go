package route

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// This file is the rules of precedence once more, written to be obvious: every
// trigger is tried, every way to cut the path is tried, and lists are sorted.

// refSegment is one place of a pattern, as the tests' generator makes it.
type refSegment struct {
	kind kind
	// text is the pattern's, with '@' for the variables' names.
	text string
	// expr is the expression as documented to be compared, re is it anchored;
	// the variables are its groups.
	expr string
	re   *regexp.Regexp
	// span and literal are whether it can span '/', and its literal bytes.
	span    bool
	literal int
}

// refExpressions are the expressions that the generator chooses from.
var refExpressions = func() []refSegment {
	all := []refSegment{
		{text: "{@:[ab]+}", expr: `([ab]+)`},
		{text: "{@:[a-c]+}", expr: `([a-c]+)`},
		{text: "{@:[^/]+}", expr: `([^/]+)`},
		{text: "{@:a{1,2}}", expr: `(a{1,2})`},
		{text: "a{@}", expr: `a((?s:.+))`, literal: 1},
		{text: "{@}-{@}", expr: `((?s:.+))-((?s:.+))`, literal: 1},
		{text: "{@:.*}", expr: `(.*)`, span: true},
		{text: "{@:.+}", expr: `(.+)`, span: true},
		{text: "{@:.+?}", expr: `(.+?)`, span: true},
		{text: "{@:a|b/a}", expr: `(a|b/a)`, span: true},
		{text: "{@:^a.*$}", expr: `(^a.*$)`, span: true},
		{text: `{@:.*\b}`, expr: `(.*\b)`, span: true},
		{text: `{@:(\Ba|.)+}`, expr: `((\Ba|.)+)`, span: true},
		{text: "{@:(?:[ab]+/)+b}", expr: `((?:[ab]+/)+b)`, span: true},
		{text: "{@:.+}b", expr: `(.+)b`, span: true, literal: 1},
		{text: "a{@}{@:.*}", expr: `a([^/]+)(.*)`, span: true, literal: 1},
	}
	for i := range all {
		s := &all[i]
		s.kind = expression
		s.re = regexp.MustCompile(`\A(?:` + s.expr + `)\z`)
	}
	return all
}()

// refTrigger is a trigger of which the reference knows what it means.
type refTrigger struct {
	name     string
	host     string
	methods  []string
	segments []refSegment
	prefix   bool
	vars     []string
}

// path writes the pattern.
func (t *refTrigger) path() string {
	var b strings.Builder
	vars := t.vars
	for _, s := range t.segments {
		b.WriteByte('/')
		for _, c := range s.text {
			if c == '@' {
				b.WriteString(vars[0])
				vars = vars[1:]
			} else {
				b.WriteRune(c)
			}
		}
	}
	if t.prefix {
		b.WriteString("/*")
	}
	return b.String()
}

// compareRef is rules 1 to 4 of the package's doc.
func compareRef(a, b *refTrigger) int {
	class := func(host string) int {
		return map[bool]int{true: 2}[host == ""] + map[bool]int{true: 1}[strings.HasPrefix(host, "*")]
	}
	if c := cmp.Or(cmp.Compare(class(a.host), class(b.host)), cmp.Compare(a.host, b.host)); c != 0 {
		return c
	}
	place := func(t *refTrigger, i int) refSegment {
		if i < len(t.segments) {
			return t.segments[i]
		}
		if t.prefix {
			return refSegment{kind: prefixEnd}
		}
		return refSegment{kind: exactEnd}
	}
	for i := 0; ; i++ {
		x, y := place(a, i), place(b, i)
		c := cmp.Compare(x.kind, y.kind)
		if c == 0 && x.kind == literal {
			c = strings.Compare(x.text, y.text)
		}
		if c == 0 && x.kind == expression {
			if x.span != y.span {
				c = map[bool]int{true: 1, false: -1}[x.span]
			}
			c = cmp.Or(c, -cmp.Compare(x.literal, y.literal), strings.Compare(x.expr, y.expr))
		}
		if c != 0 || x.kind >= exactEnd {
			return c
		}
	}
}

// claims are the methods of which a trigger is one; all is every method.
func (t *refTrigger) claims(method string) bool {
	return len(t.methods) == 0 || slices.Contains(t.methods, method)
}

// refConflict reports whether two triggers claim the same.
func refConflict(triggers []*refTrigger) bool {
	for i, a := range triggers {
		for _, b := range triggers[:i] {
			if compareRef(a, b) == 0 && (len(a.methods) == 0 || len(b.methods) == 0 || slices.ContainsFunc(a.methods, b.claims)) {
				return true
			}
		}
	}
	return false
}

// refPath is a request's path: its segments, decoded and as sent.
type refPath struct{ text, raw []string }

// cleanRef reads a path as it was sent; ok is false if nothing may match it.
func cleanRef(target string) (p refPath, ok bool) {
	encoded, dotted := false, false
	for raw := range strings.SplitSeq(target[1:], "/") {
		text, _ := url.PathUnescape(raw)
		encoded = encoded || strings.Contains(text, "/")
		for part := range strings.SplitSeq(text, "/") {
			dotted = dotted || part == "." || part == ".."
		}
		switch {
		case text == "" || text == ".":
		case text == "..":
			n := max(0, len(p.text)-1)
			p.text, p.raw = p.text[:n], p.raw[:n]
		default:
			p.text, p.raw = append(p.text, text), append(p.raw, raw)
		}
	}
	if len(p.text) == 0 || strings.HasSuffix(target, "/") {
		p.text, p.raw = append(p.text, ""), append(p.raw, "")
	}
	return p, !(encoded && dotted)
}

// ways are all ways to cut a path for a pattern: where each place ends.
func (t *refTrigger) ways(p refPath, i, at int) [][]int {
	if i == len(t.segments) {
		if t.prefix || at == len(p.text) {
			return [][]int{nil}
		}
		return nil
	}
	s := t.segments[i]
	var all [][]int
	for to := at + 1; to <= len(p.text); to++ {
		text := strings.Join(p.text[at:to], "/")
		fits := false
		switch s.kind {
		case literal:
			fits = to == at+1 && text == s.text
		case variable:
			fits = to == at+1 && text != ""
		case expression:
			fits = (s.span || to == at+1) && s.re.MatchString(text)
		}
		if fits {
			for _, way := range t.ways(p, i+1, to) {
				all = append(all, append([]int{to}, way...))
			}
		}
	}
	return all
}

// match describes the match as describe does; empty is none. Of the ways, it
// takes the one whose last place ends last, then the one before it, and so on.
func (t *refTrigger) match(p refPath) string {
	ways := t.ways(p, 0, 0)
	if len(ways) == 0 {
		return ""
	}
	way := slices.MaxFunc(ways, func(a, b []int) int {
		for i := range slices.Backward(a) {
			if a[i] != b[i] {
				return cmp.Compare(a[i], b[i])
			}
		}
		return 0
	})
	out, vars, at := t.name, t.vars, 0
	for i, to := range way {
		text, raw := strings.Join(p.text[at:to], "/"), strings.Join(p.raw[at:to], "/")
		at = to
		switch s := t.segments[i]; {
		case s.kind == variable || s.kind == expression && strings.HasPrefix(s.text, "{") && strings.Count(s.text, "@") == 1 && strings.HasSuffix(s.text, "}"):
			out += " " + vars[0] + "=" + text
			if raw != text {
				out += "~" + raw
			}
			vars = vars[1:]
		case s.kind == expression:
			groups := s.re.FindStringSubmatchIndex(text)
			for g := range strings.Count(s.text, "@") {
				a, b := groups[2*g+2], groups[2*g+3]
				out += " " + vars[0] + "=" + text[a:b]
				if r := refRaw(raw, a, b); r != text[a:b] {
					out += "~" + r
				}
				vars = vars[1:]
			}
		}
	}
	if t.prefix {
		text, raw := "/"+strings.Join(p.text[at:], "/"), "/"+strings.Join(p.raw[at:], "/")
		out += " rest=" + text
		if raw != text {
			out += "~" + raw
		}
	}
	return out
}

// refRaw is the escaped text of which the decoded bytes a to b are a part.
func refRaw(raw string, a, b int) string {
	bytes := regexp.MustCompile(`(?s)%[0-9a-fA-F]{2}|.`).FindAllString(raw, -1)
	return strings.Join(bytes[a:b], "")
}

// refHost reports whether a trigger's host takes a request's.
func refHost(pattern, host string) bool {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	if suffix, wild := strings.CutPrefix(pattern, "*"); wild {
		label, found := strings.CutSuffix(host, suffix)
		return found && label != "" && !strings.Contains(label, ".")
	}
	return pattern == "" || pattern == host
}

// matchRef describes what becomes of a request. triggers are sorted.
func matchRef(triggers []*refTrigger, method, host, target string) string {
	p, ok := cleanRef(target)
	if !ok {
		return "404"
	}
	var allow []string
	for len(triggers) > 0 {
		n := 1
		for n < len(triggers) && compareRef(triggers[0], triggers[n]) == 0 {
			n++
		}
		same := triggers[:n]
		triggers = triggers[n:]
		if !refHost(same[0].host, host) || len(same[0].ways(p, 0, 0)) == 0 {
			continue
		}
		for _, as := range []string{method, strings.Replace(method, "HEAD", "GET", 1)} {
			if i := slices.IndexFunc(same, func(t *refTrigger) bool { return t.claims(as) }); i >= 0 {
				return same[i].match(p)
			}
		}
		for _, t := range same {
			allow = append(allow, t.methods...)
			if slices.Contains(t.methods, "GET") {
				allow = append(allow, "HEAD")
			}
		}
	}
	if allow == nil {
		return "404"
	}
	slices.Sort(allow)
	return "405 " + strings.Join(slices.Compact(allow), ",")
}
