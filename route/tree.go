package route

import "sort"

// manyLiterals is the number of literals in one place from which a map is
// faster to search than a sorted slice.
const manyLiterals = 8

// entry is a trigger as the table holds it.
type entry struct {
	pattern pattern
	methods methodSet
	picker  Picker
	Trigger
}

// tree holds the triggers of one host.
type tree struct {
	// host is as in the triggers; empty is every host.
	host string
	// entries are in the order of precedence.
	entries []*entry
	root    node
}

// node is a place in patterns: what may come next, and which triggers end here.
// It fills one cache line: in a large table, a match costs what it has to fetch
// from memory.
type node struct {
	// literals are few, or index has them.
	literals []literalEdge
	index    map[string]literalEdge
	variable *node
	// exact and prefix are the triggers that end here, the first of each.
	exact, prefix *entry
	rare          *rare
}

// rare is what few nodes have.
type rare struct {
	expressions []expressionEdge
	// exact and prefix are more triggers that end here, of other methods.
	exact, prefix []*entry
}

// literalEdge leads on for one text; a node's are sorted by it.
type literalEdge struct {
	text string
	// more is what else has to follow, for segments that no other trigger
	// parts from; count is the number of segments with them.
	more  string
	count int32
	to    *node
}

// expressionEdge leads on for what an expression matches; a node's are in the
// order of precedence.
type expressionEdge struct {
	expr *matcher
	to   *node
}

// leaf is the triggers of one pattern, most often one. Their methods have nothing
// in common.
type leaf struct {
	first *entry
	rest  []*entry
}

// exactLeaf is the triggers whose exact pattern ends here.
func (n *node) exactLeaf() leaf {
	if n.rare == nil {
		return leaf{first: n.exact}
	}
	return leaf{n.exact, n.rare.exact}
}

// prefixLeaf is the triggers whose prefix ends here.
func (n *node) prefixLeaf() leaf {
	if n.rare == nil {
		return leaf{first: n.prefix}
	}
	return leaf{n.prefix, n.rare.prefix}
}

// build makes the tree of entries that are sorted and that agree in their first
// depth segments.
func build(entries []*entry, depth int) *node {
	n, more := new(node), rare{}
	n.literals = make([]literalEdge, 0, countLiterals(entries, depth))
	for len(entries) > 0 {
		same := sameAt(entries, depth)
		first := &entries[0].pattern
		switch first.kindAt(depth) {
		case literal:
			n.literals = append(n.literals, literals(same, depth))
		case expression:
			edge := expressionEdge{first.segments[depth].expr, build(same, depth+1)}
			more.expressions = append(more.expressions, edge)
		case variable:
			n.variable = build(same, depth+1)
		case exactEnd:
			n.exact, more.exact = same[0], same[1:]
		case prefixEnd:
			n.prefix, more.prefix = same[0], same[1:]
		}
		entries = entries[len(same):]
	}
	if len(more.expressions)+len(more.exact)+len(more.prefix) > 0 {
		kept := more // more itself is on the stack, for the many that need none
		n.rare = &kept
	}
	if len(n.literals) > manyLiterals {
		n.index = make(map[string]literalEdge, len(n.literals))
		for _, e := range n.literals {
			n.index[e.text] = e
		}
		n.literals = nil
	}
	return n
}

// literals makes the edge of entries that agree in the literal at place depth,
// and maybe in more that follow.
func literals(entries []*entry, depth int) literalEdge {
	first, last := entries[0], &entries[len(entries)-1].pattern
	segments := first.pattern.segments
	end := depth + 1
	for end < len(segments) && segments[end].kind == literal && segments[end].plain && first.pattern.sameAt(last, end) {
		end++
	}
	e := literalEdge{text: segments[depth].text, count: int32(end - depth), to: build(entries, end)}
	if e.count > 1 {
		e.more = first.Path[segments[depth+1].from : int(segments[end-1].from)+len(segments[end-1].text)]
	}
	return e
}

// sameAt is the run of entries at the start that agree at place depth.
func sameAt(entries []*entry, depth int) []*entry {
	first := &entries[0].pattern
	n := sort.Search(len(entries), func(i int) bool { return !first.sameAt(&entries[i].pattern, depth) })
	return entries[:n]
}

// sameAt reports whether two patterns have the same in place depth.
func (p *pattern) sameAt(o *pattern, depth int) bool {
	if p.kindAt(depth) != o.kindAt(depth) {
		return false
	}
	return depth >= len(p.segments) || p.segments[depth].compare(&o.segments[depth]) == 0
}

// countLiterals is the number of different literals at place depth.
func countLiterals(entries []*entry, depth int) int {
	n := 0
	for len(entries) > 0 && entries[0].pattern.kindAt(depth) == literal {
		entries = entries[len(sameAt(entries, depth)):]
		n++
	}
	return n
}

// literal is the edge of a text.
func (n *node) literal(text string) (literalEdge, bool) {
	if n.index != nil {
		e, found := n.index[text]
		return e, found
	}
	for i := range n.literals {
		if n.literals[i].text == text {
			return n.literals[i], true
		}
	}
	return literalEdge{}, false
}

// goesOn reports whether what follows segment at in the path is what follows the
// edge's text. The literals in more have no '/' of their own: as many segments
// of the same text are the same segments.
func (e *literalEdge) goesOn(p *requestPath, at int) bool {
	if e.count == 1 {
		return true
	}
	return at+int(e.count) <= p.len() && p.span(at+1, at+int(e.count)) == e.more
}

// last reports whether nothing follows: only the path's end is of use here.
func (n *node) last() bool {
	return !n.hasLiterals() && (n.rare == nil || len(n.rare.expressions) == 0) && n.variable == nil && n.prefix == nil
}

// hasLiterals reports whether literal text may follow.
func (n *node) hasLiterals() bool { return len(n.literals) > 0 || n.index != nil }

// all are the leaf's entries.
func (l *leaf) all(yield func(*entry) bool) {
	if !yield(l.first) {
		return
	}
	for _, e := range l.rest {
		if !yield(e) {
			return
		}
	}
}

// serving is the entry that serves the method, or nil. HEAD is served by GET's
// unless it has its own.
func (l *leaf) serving(method string, v verb) *entry {
	for e := range l.all {
		if e.methods.claims(method, v) {
			return e
		}
	}
	if v == head {
		return l.serving("GET", get)
	}
	return nil
}
