package route

import (
	"regexp/syntax"
	"unicode/utf8"
)

// hop is a place in a request's path that a part of a pattern reaches: at
// segments of the path are used up, and from were before the pattern's last
// segment.
type hop struct{ at, from int32 }

// reach is where the expression gets from the given places, in ascending order.
// Where it gets to one place from several, the last of them is kept. last tells
// that only the end of the path counts. The answer may stand in to's memory.
func (x *matcher) reach(p *requestPath, from []hop, last bool, to []hop) []hop {
	switch {
	case !x.spans:
		for _, h := range from {
			if i := int(h.at); i < p.len() && x.regexp().MatchString(p.segment(i)) {
				to = append(to, hop{h.at + 1, h.at})
			}
		}
	case last && len(from) == 1:
		i, end := int(from[0].at), p.len()
		if i < end && x.regexp().MatchString(p.span(i, end)) {
			to = append(to, hop{int32(end), from[0].at})
		}
	default:
		to = newSimulation(x.program()).run(p, from)
	}
	return to
}

// simulation runs an expression over the path from all places at once and notes
// every end of a segment that a match may end at. Asking package regexp for
// each pair of places would cost the cube of the path's length; this costs its
// length times the expression's size, as in Thompson's "Regular expression
// search algorithm", CACM 11(6), 1968.
type simulation struct {
	prog *syntax.Prog
	// seen marks the instructions followed in the present pass, listed those
	// that are in threads already. Both hold the number of the pass or step.
	seen, listed []int
	pass, step   int
	// seeds are the threads after the last rune, threads those before the next,
	// both in descending order of where they came from.
	seeds, threads []thread
	// matched is the last place that a match came from; -1 is none.
	matched int32
}

// thread is an instruction to go on with, and the place where its match began.
type thread struct {
	pc   uint32
	from int32
}

func newSimulation(prog *syntax.Prog) *simulation {
	n := len(prog.Inst)
	return &simulation{prog: prog, seen: make([]int, n), listed: make([]int, n)}
}

// run returns where the expression gets to in a path from the given places.
func (s *simulation) run(path *requestPath, from []hop) []hop {
	var to []hop
	text := path.text
	before := rune(-1)
	// end is the segment that ends at or after offset i.
	end := int(from[0].at)
	for i := path.start(end); len(from) > 0 || len(s.seeds) > 0; {
		var start *thread
		if len(from) > 0 && i == path.start(int(from[0].at)) {
			start = &thread{uint32(s.prog.Start), from[0].at}
			from = from[1:]
		}
		if end < path.len() && i == path.start(end+1)-1 {
			end++
			if s.ends(start, before) {
				to = append(to, hop{int32(end), s.matched})
			}
		}
		if i >= len(text) {
			break
		}
		after, width := utf8.DecodeRuneInString(text[i:])
		s.advance(start, before, after)
		before = after
		i += width
	}
	return to
}

// ends reports whether a match may end here.
func (s *simulation) ends(start *thread, before rune) bool {
	s.expand(start, before, -1)
	return s.matched >= 0
}

// advance takes the threads over one rune.
func (s *simulation) advance(start *thread, before, after rune) {
	s.expand(start, before, after)
	s.seeds = s.seeds[:0]
	for _, t := range s.threads {
		if inst := &s.prog.Inst[t.pc]; inst.MatchRune(after) {
			s.seeds = append(s.seeds, thread{inst.Out, t.from})
		}
	}
}

// expand follows the start and the seeds to the instructions that take a rune.
// The start stands at the beginning of its text, the seeds do not: what they
// pass through is marked apart.
func (s *simulation) expand(start *thread, before, after rune) {
	s.threads = s.threads[:0]
	s.matched = -1
	s.step++
	s.pass++
	if start != nil {
		s.follow(*start, -1, after)
	}
	s.pass++
	for _, t := range s.seeds {
		s.follow(t, before, after)
	}
}

// follow follows a thread over the instructions that take no rune. The first to
// reach an instruction is the one that began last.
func (s *simulation) follow(t thread, before, after rune) {
	if s.seen[t.pc] == s.pass {
		return
	}
	s.seen[t.pc] = s.pass
	inst := &s.prog.Inst[t.pc]
	switch inst.Op {
	case syntax.InstFail:
	case syntax.InstMatch:
		s.matched = max(s.matched, t.from)
	case syntax.InstAlt, syntax.InstAltMatch:
		s.follow(thread{inst.Out, t.from}, before, after)
		s.follow(thread{inst.Arg, t.from}, before, after)
	case syntax.InstCapture, syntax.InstNop:
		s.follow(thread{inst.Out, t.from}, before, after)
	case syntax.InstEmptyWidth:
		if inst.MatchEmptyWidth(before, after) {
			s.follow(thread{inst.Out, t.from}, before, after)
		}
	default:
		if s.listed[t.pc] != s.step {
			s.listed[t.pc] = s.step
			s.threads = append(s.threads, t)
		}
	}
}
