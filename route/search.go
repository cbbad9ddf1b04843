package route

import (
	"cmp"
	"slices"
)

// search is one request's way through the trees. It visits a node at most once:
// a node is reached with all the places in the path that its part of the
// pattern can get to, not with one after the other. So backtracking costs no
// more than the nodes whose part of the pattern fits the path.
type search struct {
	path   requestPath
	method string
	verb   verb
	// match is what is found: by value, so that the caller's may be on its stack.
	match Match
	// denied is set if an entry fits but for its methods; allow then gets what
	// they serve, if it is not nil.
	denied bool
	allow  *methodSet
	// tracing asks for steps; host is the tree's, for them.
	tracing bool
	steps   []Step
	host    string
}

// frame is a node on the way from the root: the places in the path that it is
// reached with, in ascending order and at least one. Frames live on the stack.
type frame struct {
	up   *frame
	hops []hop
	// count is how many of the pattern's segments lie between up and here.
	count int32
	// captures is set if they are no literals, so that the pattern need not be
	// asked.
	captures bool
	// text is what they are, for the trace.
	text string
}

// tree searches one tree and reports whether it has a trigger that serves.
func (s *search) tree(t *tree) bool {
	s.host = t.host
	root := [1]hop{}
	return s.node(&t.root, &frame{hops: root[:]})
}

// enter goes on at the node of a frame. It is not inlined since a frame made in
// a caller's loop would go to the heap, and all others with it.
//
//go:noinline
func (s *search) enter(n *node, f frame) bool { return s.node(n, &f) }

// node searches what is below a node, in the order of precedence.
func (s *search) node(n *node, f *frame) bool {
	if n.hasLiterals() && s.literals(n, f) {
		return true
	}
	if n.rare != nil {
		for i := range n.rare.expressions {
			if s.expression(&n.rare.expressions[i], f) {
				return true
			}
		}
	}
	if n.variable != nil && s.variable(n.variable, f) {
		return true
	}
	return s.ends(n, f)
}

// literals goes on with literal text.
func (s *search) literals(n *node, f *frame) bool {
	if len(f.hops) > 1 {
		return s.literalsFromMany(n, f)
	}
	from := f.hops[0].at
	if int(from) == s.path.len() {
		s.miss(f, "…", "the path ends here")
		return false
	}
	text := s.path.segment(int(from))
	e, found := n.literal(text)
	if !found {
		s.miss(f, text, "no trigger has this text here")
		return false
	}
	if !e.goesOn(&s.path, int(from)) {
		s.miss(f, e.text+"/"+e.more, "the path goes on in another way")
		return false
	}
	next := [1]hop{{from + e.count, from}}
	return s.enter(e.to, frame{up: f, hops: next[:], count: e.count, text: text})
}

// literalsFromMany goes on with literal text from several places in the path,
// after an expression that spans '/'.
func (s *search) literalsFromMany(n *node, f *frame) bool {
	type step struct {
		literalEdge
		hops []hop
	}
	var steps []*step
	known := make(map[string]*step)
	for _, h := range f.hops {
		if int(h.at) == s.path.len() {
			continue
		}
		e, found := n.literal(s.path.segment(int(h.at)))
		if !found || !e.goesOn(&s.path, int(h.at)) {
			continue
		}
		if known[e.text] == nil {
			known[e.text] = &step{literalEdge: e}
			steps = append(steps, known[e.text])
		}
		st := known[e.text]
		st.hops = append(st.hops, hop{h.at + e.count, h.at})
	}
	if len(steps) == 0 {
		s.miss(f, "…", "the path has none of the texts that triggers have here")
	}
	slices.SortFunc(steps, func(a, b *step) int { return cmp.Compare(a.text, b.text) })
	for _, st := range steps {
		if s.enter(st.to, frame{up: f, hops: st.hops, count: st.count, text: st.text}) {
			return true
		}
	}
	return false
}

// expression goes on with a regular expression.
func (s *search) expression(e *expressionEdge, f *frame) bool {
	var buf [1]hop
	hops := e.expr.reach(&s.path, f.hops, e.to.last(), buf[:0])
	if len(hops) == 0 {
		s.miss(f, e.expr.source, "the path does not match the regular expression")
		return false
	}
	return s.enter(e.to, frame{up: f, hops: hops, count: 1, captures: true, text: e.expr.source})
}

// variable goes on with one segment that is not empty.
func (s *search) variable(to *node, f *frame) bool {
	var buf [1]hop
	hops := buf[:0]
	for _, h := range f.hops {
		if i := int(h.at); i < s.path.len() && s.path.segment(i) != "" {
			hops = append(hops, hop{h.at + 1, h.at})
		}
	}
	if len(hops) == 0 {
		s.miss(f, "{…}", "the path has no segment here")
		return false
	}
	return s.enter(to, frame{up: f, hops: hops, count: 1, captures: true, text: "{…}"})
}

// ends tries the triggers whose pattern ends at a node. A prefix takes the last
// place it can.
func (s *search) ends(n *node, f *frame) bool {
	at := f.hops[len(f.hops)-1].at
	if n.exact != nil {
		if l := n.exactLeaf(); int(at) < s.path.len() {
			s.longer(&l)
		} else if s.leaf(&l, f, at) {
			return true
		}
	}
	if n.prefix == nil {
		return false
	}
	l := n.prefixLeaf()
	return s.leaf(&l, f, at)
}

// leaf tries the triggers of one pattern, whose path fits.
func (s *search) leaf(l *leaf, f *frame, at int32) bool {
	if e := l.serving(s.method, s.verb); e != nil {
		s.accept(e, f, at)
		return true
	}
	s.denied = true
	for e := range l.all {
		if s.allow != nil {
			s.allow.add(&e.methods)
		}
		s.denies(e)
	}
	return false
}

// accept fills the caller's Match.
func (s *search) accept(e *entry, f *frame, at int32) {
	s.matches(e)
	m := &s.match
	m.Trigger, m.Picker, m.Host, m.Prefix = &e.Trigger, &e.picker, s.host, e.pattern.prefix
	m.text, m.raw = s.path.text, s.path.raw
	m.rest = min(s.path.start(int(at))-1, len(m.text))
	if e.pattern.vars == 0 {
		return
	}
	vars := int(e.pattern.vars)
	m.Params = slices.Grow(m.Params[:0], vars)[:vars]
	left := m.Params
	for i := len(e.pattern.segments); len(left) > 0; f = f.up {
		from := f.cameFrom(at)
		if i -= int(f.count); f.captures {
			seg := &e.pattern.segments[i]
			split := len(left) - seg.variables()
			s.capture(seg, left[split:], int(from), int(at))
			left = left[:split]
		}
		at = from
	}
}

// cameFrom is the place before the node's last segment, for a place after it.
func (f *frame) cameFrom(at int32) int32 {
	if len(f.hops) == 1 {
		return f.hops[0].from
	}
	i, _ := slices.BinarySearchFunc(f.hops, at, func(h hop, at int32) int { return cmp.Compare(h.at, at) })
	return f.hops[i].from
}

// capture fills in the variables of one segment of the pattern, which took the
// path's segments from from up to to.
func (s *search) capture(seg *segment, params []Param, from, to int) {
	offset, text := s.path.start(from), s.path.span(from, to)
	if len(seg.vars) == 0 {
		params[0] = Param{Name: seg.text, Value: text, from: int32(offset), to: int32(offset + len(text))}
		return
	}
	groups := seg.expr.regexp().FindStringSubmatchIndex(text)
	for i, v := range seg.vars {
		a, b := groups[2*v.group], groups[2*v.group+1]
		params[i] = Param{Name: v.name, Value: text[a:b], from: int32(offset + a), to: int32(offset + b)}
	}
}
