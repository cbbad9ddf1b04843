package route

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var propertySeed = flag.Uint64("seed", 0, "seed of the property test; 0 is another one each run")

// generator makes random tables and requests out of few parts, so that they
// meet.
type generator struct{ *rand.Rand }

func choose[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) segment(last bool) refSegment {
	switch n := g.IntN(20); {
	case n < 7:
		return refSegment{kind: literal, text: choose(g, "a", "b", "ab", "c")}
	case n < 14:
		return choose(g, refExpressions...)
	case n < 15 && last:
		return refSegment{kind: literal}
	}
	return refSegment{kind: variable, text: "{@}"}
}

func (g generator) trigger(name string) *refTrigger {
	t := &refTrigger{name: name, prefix: g.IntN(3) == 0}
	t.host = choose(g, "", "", "", "x.test", "*.test", "y.test", "*.y.test")
	t.methods = choose(g, nil, nil, []string{"GET"}, []string{"POST", "PUT"}, []string{"HEAD"}, []string{"DELETE", "PURGE"})
	count := g.IntN(5)
	if count == 0 && !t.prefix {
		t.segments = []refSegment{{kind: literal}}
	}
	for i := range count {
		s := g.segment(i == count-1 && !t.prefix)
		t.segments = append(t.segments, s)
		for range strings.Count(s.text, "@") {
			t.vars = append(t.vars, fmt.Sprintf("%s%d", choose(g, "x", "y"), len(t.vars)))
		}
	}
	return t
}

// table makes triggers; mostly without a conflict.
func (g generator) table() []*refTrigger {
	var triggers []*refTrigger
	allowed := g.IntN(20) == 0
	for i := range 1 + g.IntN(25) {
		next := append(slices.Clone(triggers), g.trigger(fmt.Sprintf("t%d", i)))
		if allowed || !refConflict(next) {
			triggers = next
		}
	}
	return triggers
}

func (g generator) request() (method, host, target string) {
	method = choose(g, "GET", "GET", "HEAD", "POST", "DELETE", "PURGE", "BREW")
	host = choose(g, "x.test", "X.TEST:80", "y.test", "z.y.test", "other", "a.b.test:1")
	for range 1 + g.IntN(5) {
		target += "/" + choose(g, "a", "a", "a", "b", "b", "ab", "c", "a-b", "aa", "", ".", "..", "%2e%2E", "a%2Fb", "%61", "b%20a", "%0A", "%E4b", "%C3%A4", "b*")
	}
	if g.IntN(6) == 0 {
		target += "/"
	}
	return method, host, target
}

func TestMatchDoesAsTheReferenceDoes(t *testing.T) {
	seed := *propertySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	const tables, requests = 400, 40
	outcomes := make(map[string]int)
	for n := range uint64(tables) {
		g := generator{rand.New(rand.NewPCG(seed, n))}
		triggers := g.table()
		var given []Trigger
		for _, i := range g.Perm(len(triggers)) {
			r := triggers[i]
			trigger := Trigger{Name: r.name, Path: r.path(), Methods: r.methods, Functions: one("f")}
			if r.host != "" {
				trigger.Hosts = []string{r.host}
			}
			given = append(given, trigger)
		}
		table, err := Compile(given)
		if conflict := refConflict(triggers); (err != nil) != conflict {
			t.Fatalf("-seed %d, table %d: Compile = %v; want an error: %v\n%s", seed, n, err, conflict, sketch(given))
		} else if conflict {
			continue
		}
		slices.SortStableFunc(triggers, compareRef)
		var m Match
		for range requests {
			method, host, target := g.request()
			want := matchRef(triggers, method, host, target)
			q := request(t, method+" "+host+" "+target)
			got := describe(table.Match(q, &m), &m)
			if got != want {
				t.Fatalf("-seed %d, table %d: %s %s %s\n got  %q\n want %q\n%s", seed, n, method, host, target, got, want, sketch(given))
			}
			outcomes[want[:min(3, len(want))]]++
			checkExplain(t, table, q, &m)
		}
	}
	if total := outcomes["404"] + outcomes["405"]; total > tables*requests*3/4 || outcomes["405"] == 0 {
		t.Errorf("-seed %d: of %d requests, %d had no route and %d no method; the tables test too little", seed, tables*requests, outcomes["404"], outcomes["405"])
	}
}

// checkExplain checks that Explain ends where Match does.
func checkExplain(t *testing.T, table *Table, q Request, m *Match) {
	t.Helper()
	steps := table.Explain(q)
	if len(steps) == 0 {
		t.Fatalf("Explain(%+v) has no step", q)
	}
	last := steps[len(steps)-1]
	if last.Matched != (m.Trigger != nil) || last.Matched && last.Trigger != m.Trigger {
		t.Fatalf("Explain(%+v) ends with %+v; Match found %+v", q, last, m.Trigger)
	}
}

// sketch writes a table for a message.
func sketch(triggers []Trigger) string {
	var b strings.Builder
	for _, t := range triggers {
		fmt.Fprintf(&b, "  %s %v %v %s\n", t.Name, t.Methods, t.Hosts, t.Path)
	}
	return b.String()
}
