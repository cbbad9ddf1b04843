//go:build !race

package route

import "testing"

// The race detector allocates by itself and moves more to the heap, so this file
// counts without it.

func TestMatchAllocations(t *testing.T) {
	table := mustCompile(t, lines("exact - - /a/b", "prefix - - /p/*", "var - - /v/{x}/{y}", "num - - /n/{x:[0-9]+}", "host - *.test /h", "mixed - - /m/{x}.json"))
	for kind, c := range map[string]struct {
		request string
		want    float64
	}{
		"exact":               {"GET example.com:80 /a/b", 0},
		"prefix":              {"GET example.com /p/x/y", 0},
		"miss":                {"GET example.com /none/x", 0},
		"wildcard host":       {"GET A.TEST:80 /h", 0},
		"variable":            {"GET example.com /v/1/2", 0},
		"encoded slash":       {"GET example.com /v/1%2F2/3", 0},
		"expression":          {"GET example.com /n/12", 0},
		"variable and text":   {"GET example.com /m/x.json", 1},
		"prefix, escaped way": {"GET example.com /p/x%2Fy", 0},
	} {
		q := request(t, c.request)
		var m Match
		if got := testing.AllocsPerRun(100, func() { table.Match(q, &m) }); got > c.want {
			t.Errorf("%s, Match used again: %v allocations, want at most %v", kind, got, c.want)
		}
		if got := testing.AllocsPerRun(100, func() {
			var fresh Match
			table.Match(q, &fresh)
		}); got > c.want+1 {
			t.Errorf("%s, new Match: %v allocations, want at most %v", kind, got, c.want+1)
		}
	}
}
