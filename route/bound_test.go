package route

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// bad is tables and requests on which trying one way after the other would take
// longer than anybody waits.
func bad() map[string]struct {
	triggers []Trigger
	path     string
} {
	var spans, halves, tails []string
	for i := range 12 {
		spans = append(spans, fmt.Sprintf("/{v%d:.*}", i))
		halves = append(halves, fmt.Sprintf("/{v%d:(a|b/)*[a-c/]+}/a", i))
	}
	for i := range 200 {
		tails = append(tails, fmt.Sprintf("t%d - - /{p:.+}/lit%d/{q:.+}/end", i, i))
	}
	var binary []string
	for i := range 1 << 12 {
		path := ""
		for bit := range 12 {
			path += map[bool]string{true: "/a", false: fmt.Sprintf("/{v%d}", bit)}[i>>bit&1 == 1]
		}
		binary = append(binary, fmt.Sprintf("t%d - - %s/end", i, path))
	}
	long := strings.Repeat("/a", 2000)
	return map[string]struct {
		triggers []Trigger
		path     string
	}{
		"many expressions that span":         {lines("t - - " + strings.Join(spans, "") + "/end"), long},
		"with literals between":              {lines("t - - " + strings.Join(halves, "") + "/end"), long},
		"repetition in repetition":           {lines("t - - /{v:(((a*)*/)*)*}/end/{w:((a|aa)+/)*}"), long},
		"many tails of one expression":       {lines(tails...), strings.Repeat("/lit7/lit8", 500)},
		"literal or variable in every place": {lines(binary...), strings.Repeat("/a", 12) + "/none"},
		"an expression that ends the path":   {lines("t - - /{a:.*}/{b:.*}/{c:.*}/{d:.*b}"), long},
	}
}

func TestMatchIsBoundedOnBadTablesAndRequests(t *testing.T) {
	for name, c := range bad() {
		table := mustCompile(t, c.triggers)
		done := make(chan Outcome, 1)
		go func() {
			var m Match
			done <- table.Match(Request{Method: "GET", Path: c.path}, &m)
		}()
		select {
		case got := <-done:
			if got != NoRoute {
				t.Errorf("%s: Match = %v, want %v", name, got, NoRoute)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: Match took more than a minute; the search is not bounded", name)
		}
	}
}

func BenchmarkMatchBad(b *testing.B) {
	for name, c := range bad() {
		table := mustCompile(b, c.triggers)
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			var m Match
			for b.Loop() {
				table.Match(Request{Method: "GET", Path: c.path}, &m)
			}
		})
	}
}
