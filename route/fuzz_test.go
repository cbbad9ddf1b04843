package route

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"/", "/*", "/a/{x}", "/a/{x:[0-9]{2,4}}/*", "/{x}.json", "/{x:.*}/{y:.+}b", "/{x:\\}}", "/a%2Fb", "/{x:(?i)a|b/c}", "{", "/{{}}", "/a*", "/{x:(((((((a{2}){2}){2}){2}){2}){2}){2})}"} {
		f.Add(s, "/a/b/c")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		trigger := Trigger{Name: "f", Path: pattern, Functions: one("f")}
		table, err := Compile([]Trigger{trigger})
		if err != nil {
			if !strings.Contains(err.Error(), `trigger "f"`) {
				t.Errorf("Compile(%q) = %v; want the trigger's name in it", pattern, err)
			}
			return
		}
		if _, err := Compile([]Trigger{trigger, trigger}); err == nil {
			t.Errorf("Compile took %q twice; want a conflict", pattern)
		}
		var m Match
		table.Match(Request{Method: "GET", Path: path}, &m)
		if text, err := url.PathUnescape(pattern); err == nil && !strings.ContainsAny(pattern, "{*") {
			if o := table.Match(Request{Method: "GET", Path: text, RawPath: pattern}, &m); o != Matched {
				t.Errorf("pattern %q does not match itself: %v", pattern, o)
			}
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, path := range []string{"/", "/a/b", "/a/../b", "/a%2Fb", "/%2e%2e/b", "//", "/a/b/c/", "/a\x00", "*"} {
		f.Add("/a/{x}", "/{x:.*}/b", "a.test:80", "GET", path)
	}
	f.Add("/a/*", "/{x:.+}-{y}/*", "x.b.test", "POST", "/a/b-c")
	f.Add("/{x:a|b}", "/{x}", "[::1]:80", "HEAD", "/a")
	f.Fuzz(func(t *testing.T, one, two, host, method, target string) {
		table, err := Compile([]Trigger{
			{Path: one, Hosts: []string{"a.test"}, Methods: []string{"GET"}, Functions: weighted(1)},
			{Path: two, Hosts: []string{"*.b.test"}, Methods: []string{"POST", "PURGE"}, Functions: weighted(1)},
			{Path: one, Hosts: []string{"*.b.test"}, Methods: []string{"GET"}, Functions: weighted(1)},
			{Path: two, Methods: []string{"PUT"}, Functions: weighted(1)},
		})
		if err != nil {
			return
		}
		q := Request{Host: host, Method: method, Path: target}
		if text, err := url.PathUnescape(target); err == nil {
			q.Path, q.RawPath = text, target
		}
		var m Match
		o := table.Match(q, &m)
		checkExplain(t, table, q, &m)
		switch o {
		case Matched:
			if !refHost(m.Host, host) {
				t.Errorf("%+v matched a trigger of host %q", q, m.Host)
			}
			if served := m.Trigger.Methods; !slices.Contains(served, method) && !(method == "HEAD" && slices.Contains(served, "GET")) {
				t.Errorf("%+v matched a trigger of methods %v", q, served)
			}
			checkValues(t, q, &m)
		case MethodNotAllowed:
			if len(m.Allow) == 0 || slices.Contains(m.Allow, method) {
				t.Errorf("%+v is not allowed, but Allow is %v", q, m.Allow)
			}
		}
	})
}

// checkValues checks that what was sent escaped decodes to what is told.
func checkValues(t *testing.T, q Request, m *Match) {
	t.Helper()
	pairs := map[string]string{m.EscapedRest(): m.Rest()}
	for i, p := range m.Params {
		pairs[m.Escaped(i)] = p.Value
	}
	for escaped, value := range pairs {
		if got, err := url.PathUnescape(escaped); err != nil || got != value {
			t.Errorf("%+v: %q was escaped as %q, which is %q (%v)", q, value, escaped, got, err)
		}
	}
	if !strings.HasPrefix(m.Rest(), "/") || slices.Contains(strings.Split(m.EscapedRest(), "/"), "..") {
		t.Errorf("%+v: the rest is %q; want one that begins with '/' and does not leave the prefix", q, m.Rest())
	}
}
