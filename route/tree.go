package route

import "sort"

// manyLiterals is the number of literals in one place from which a map is
// faster to search than a sorted slice.
const manyLiterals = 8

// entry is a trigger as the table holds it.
type entry struct {
	Trigger
	pattern pattern
	methods methodSet
	picker  Picker
}

// tree holds the triggers of one host.
type tree struct {
	// host is as in the triggers; empty is every host.
	host string
	// entries are in the order of precedence.
	entries []*entry
	root    *node
}

// node is a place in patterns: what may come next, and which triggers end here.
type node struct {
	literals    []literalEdge
	index       map[string]*node
	expressions []expressionEdge
	variable    *node
	// exact and prefix are the triggers that end here: of one pattern each, and
	// their methods have nothing in common.
	exact, prefix leaf
}

// literalEdge leads on for one text; a node's are sorted by it.
type literalEdge struct {
	text string
	to   *node
}

// expressionEdge leads on for what an expression matches; a node's are in the
// order of precedence.
type expressionEdge struct {
	expr *matcher
	to   *node
}

// leaf is a part of its tree's entries.
type leaf []*entry

// build makes the tree of entries that are sorted and that agree in their first
// depth segments.
func build(entries []*entry, depth int) *node {
	n := new(node)
	n.literals = make([]literalEdge, 0, countLiterals(entries, depth))
	for len(entries) > 0 {
		same := sameAt(entries, depth)
		first := &entries[0].pattern
		switch first.kindAt(depth) {
		case literal:
			n.literals = append(n.literals, literalEdge{first.segments[depth].text, build(same, depth+1)})
		case expression:
			n.expressions = append(n.expressions, expressionEdge{first.segments[depth].expr, build(same, depth+1)})
		case variable:
			n.variable = build(same, depth+1)
		case exactEnd:
			n.exact = same
		case prefixEnd:
			n.prefix = same
		}
		entries = entries[len(same):]
	}
	if len(n.literals) > manyLiterals {
		n.index = make(map[string]*node, len(n.literals))
		for _, e := range n.literals {
			n.index[e.text] = e.to
		}
	}
	return n
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

// literal is where the text leads, or nil.
func (n *node) literal(text string) *node {
	if n.index != nil {
		return n.index[text]
	}
	for i := range n.literals {
		if n.literals[i].text == text {
			return n.literals[i].to
		}
	}
	return nil
}

// last reports whether nothing follows: only the path's end is of use here.
func (n *node) last() bool {
	return len(n.literals) == 0 && len(n.expressions) == 0 && n.variable == nil && len(n.prefix) == 0
}

// serving is the entry that serves the method, or nil. HEAD is served by GET's
// unless it has its own.
func (l leaf) serving(method string, v verb) *entry {
	for _, e := range l {
		if e.methods.claims(method, v) {
			return e
		}
	}
	if v == head {
		return l.serving("GET", get)
	}
	return nil
}
