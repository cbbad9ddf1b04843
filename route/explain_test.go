package route

import (
	"fmt"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	table := mustCompile(t, lines(
		"h POST a.test /o/{id}", "w - *.test /x", "num GET - /o/{id:[0-9]+}", "new PUT - /o/new", "any DELETE - /o/{id}", "all - - /*", "deep - - /o/{id}/x",
	))
	for why, c := range map[string]struct {
		request string
		want    []string
	}{
		"the first host matches": {"POST a.test /o/1", []string{
			"a.test h + host, path and method match",
		}},
		"from host to host, past methods and expressions": {"GET a.test /o/new", []string{
			"a.test h - path and host match, the method does not: it serves POST",
			"*.test /o - no trigger has this text here",
			" new - path and host match, the method does not: it serves PUT",
			" /o/{id:[0-9]+} - the path does not match the regular expression",
			" /o/{…}/… - the path ends here",
			" any - path and host match, the method does not: it serves DELETE",
			" all + host, path and method match",
		}},
		"a path that goes on": {"GET a.test /o/1/y", []string{
			"a.test h - the path goes on after the pattern",
			"*.test /o - no trigger has this text here",
			" /o/1 - no trigger has this text here",
			" num - the path goes on after the pattern",
			" /o/{…}/y - no trigger has this text here",
			" any - the path goes on after the pattern",
			" all + host, path and method match",
		}},
		"an ambiguous path": {"GET - /a%2Fb/../c", []string{
			" - has both an encoded slash and a dot segment",
		}},
	} {
		steps := table.Explain(request(t, c.request))
		var got []string
		for _, s := range steps {
			what, sign := s.Pattern, "-"
			if s.Trigger != nil {
				what = s.Trigger.Name
			}
			if s.Matched {
				sign = "+"
			}
			got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s", s.Host, what), " ")+" "+sign+" "+s.Reason)
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: Explain(%s)\n got  %s\n want %s", why, c.request, strings.Join(got, "\n      "), strings.Join(c.want, "\n      "))
			continue
		}
		for i := range got {
			head, tail, _ := strings.Cut(c.want[i], " - ")
			if got[i] != c.want[i] && !(strings.HasPrefix(got[i], head+" - ") && strings.Contains(got[i], tail)) {
				t.Errorf("%s: Explain(%s) step %d\n got  %s\n want %s", why, c.request, i, got[i], c.want[i])
			}
		}
	}
}

func TestExplainOfAHostThatNobodyServes(t *testing.T) {
	steps := mustCompile(t, lines("h - a.test /")).Explain(request(t, "GET b.test /"))
	if len(steps) != 1 || steps[0].Matched || !strings.Contains(steps[0].Reason, `"b.test"`) {
		t.Errorf("Explain = %+v; want one step that names the host", steps)
	}
}
