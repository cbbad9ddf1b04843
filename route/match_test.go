package route

import (
	"sync"
	"testing"
)

// group is triggers, and what becomes of requests to them.
type group struct {
	triggers []string
	cases    []matchCase
}

type matchCase struct{ request, want, why string }

func TestMatch(t *testing.T) {
	for name, g := range map[string]group{
		"literals": {
			[]string{"home - - /", "list - - /orders", "slash - - /orders/", "deep - - /a/b/c", "enc - - /x%20y", "star - - /a%2Ab", "pct - - /100%25", "enc2 - - /p%2Fq", "uni - - /größe"},
			[]matchCase{
				{"GET - /", "home", "the root is a path as any other"},
				{"GET - /orders", "list", "the same text"},
				{"GET - /orders/", "slash", "a slash at the end makes another path"},
				{"GET - /a/b/c", "deep", "several segments"},
				{"GET - /a/b", "404", "a part of a pattern is not the pattern"},
				{"GET - /a/b/c/d", "404", "an exact pattern does not reach below itself"},
				{"GET - /a/b/c/", "404", "an exact pattern has no slash at its end unless it says so"},
				{"GET - /Orders", "404", "paths are case-sensitive"},
				{"GET - /orders?x=1", "list", "the query is no part of the path"},
				{"GET - /x%20y", "enc", "literals are compared decoded"},
				{"GET - /a*b", "star", "%2A in a pattern is a star of the text"},
				{"GET - /a%2ab", "star", "and so it is in a request"},
				{"GET - /100%25", "pct", "%25 is a percent sign"},
				{"GET - /p%2Fq", "enc2", "an encoded slash in a literal is text"},
				{"GET - /p/q", "404", "and a real slash is not it"},
				{"GET - /gr%C3%B6%C3%9Fe", "uni", "UTF-8 comes percent-encoded"},
				{"GET - /%6Frders", "list", "what need not be escaped may be"},
				{"GET - /nothing", "404", "no such text"},
			},
		},
		"variables": {
			[]string{"one - - /o/{id}", "two - - /o/{id}/l/{line}", "lit - - /o/new", "tail - - /t/{x}/"},
			[]matchCase{
				{"GET - /o/7", "one id=7", "one segment"},
				{"GET - /o/new", "lit", "a literal goes before a variable"},
				{"GET - /o/newer", "one id=newer", "but only for its whole text"},
				{"GET - /o/", "404", "a variable is not empty"},
				{"GET - /o", "404", "nor missing"},
				{"GET - /o/7/", "404", "the slash at the end is not in the pattern"},
				{"GET - /o/7/l/3", "two id=7 line=3", "variables come in the pattern's order"},
				{"GET - /o/new/l/3", "two id=new line=3", "the literal leads nowhere: back to the variable"},
				{"GET - /o/a%2Fb", "one id=a/b~a%2Fb", "an encoded slash stays inside its segment"},
				{"GET - /o/a%2fb/l/c%2Fd", "two id=a/b~a%2fb line=c/d~c%2Fd", "the escaped text is as it was sent"},
				{"GET - /o/a%20b", "one id=a b~a%20b", "default escaping is escaped text as well"},
				{"GET - /o/a+b", "one id=a+b", "a plus in a path is a plus"},
				{"GET - /o/%E4", "one id=\xe4~%E4", "a byte that is not UTF-8 is carried"},
				{"GET - /o/a*b", "one id=a*b", "what the client left unescaped is left"},
				{"GET - /o/a%3Fb", "one id=a?b~a%3Fb", "an encoded question mark begins no query"},
				{"GET - /t/1/", "tail x=1", "a pattern may end in a slash"},
				{"GET - /t/1", "404", "then it is needed"},
				{"GET - /t/%2F/", "tail x=/~%2F", "a segment that is one encoded slash is not empty"},
			},
		},
		"expressions": {
			[]string{
				"num - - /o/{id:[0-9]+}", "any - - /o/{id}", "year - - /y/{y:[0-9]{4}}", "range - - /r/{n:[0-9]{2,4}}/x",
				"path - - /f/{p:.+}", "ends - - /g/{p:.+}/end", "js - - /s/{name}.json", "ver - - /v{major}-{minor}",
				"opt - - /opt/{p:.*}", "alt - - /alt/{k:a|b/c}", "grp - - /grp/{a:(x|y)+}.{b:[0-9]+}", "esc - - /esc/{k:\\{[a-z]\\}}",
				"ci - - /ci/{k:(?i)abc}", "two - - /two/{a:.+}/x/{b:.+}", "sfx - - /z/{p:.+}.png", "lazy - - /lz/{p:.+?}/{q:.+}",
			},
			[]matchCase{
				{"GET - /o/7", "num id=7", "an expression goes before a variable"},
				{"GET - /o/7a", "any id=7a", "it is anchored at both ends"},
				{"GET - /y/2026", "year y=2026", "braces inside an expression"},
				{"GET - /y/26", "404", "count"},
				{"GET - /r/123/x", "range n=123", "also with a comma"},
				{"GET - /f/a/b/c.txt", "path p=a/b/c.txt", "an expression may span slashes"},
				{"GET - /f/a%2Fb/c", "path p=a/b/c~a%2Fb/c", "over decoded text; the escaped text keeps which were encoded"},
				{"GET - /f/", "404", "+ wants something"},
				{"GET - /opt/", "opt p=", "* does not"},
				{"GET - /opt", "404", "but the slash before it is text"},
				{"GET - /g/a/b/end", "ends p=a/b", "what follows the expression is matched as well"},
				{"GET - /g/end/end", "ends p=end", "the expression leaves the last segment"},
				{"GET - /g/a%2Fend", "404", "an encoded slash separates nothing"},
				{"GET - /g/end", "404", "nothing is left for the expression"},
				{"GET - /s/a.json", "js name=a", "text and variable in one segment"},
				{"GET - /s/a.b.json", "js name=a.b", "the variable takes what it can"},
				{"GET - /s/.json", "404", "and is not empty"},
				{"GET - /s/a/b.json", "404", "nor more than one segment"},
				{"GET - /s/a%2Fb.json", "js name=a/b~a%2Fb", "but with an encoded slash"},
				{"GET - /v1-2", "ver major=1 minor=2", "two variables in a segment"},
				{"GET - /v1-2-3", "ver major=1-2 minor=3", "the first takes most"},
				{"GET - /alt/a", "alt k=a", "an alternative"},
				{"GET - /alt/b/c", "alt k=b/c", "that spans"},
				{"GET - /alt/b", "404", "matches as a whole only"},
				{"GET - /grp/xyx.12", "grp a=xyx b=12", "groups of the expression's own do not count"},
				{"GET - /esc/%7Ba%7D", "esc k={a}~%7Ba%7D", "escaped braces are text"},
				{"GET - /ci/ABC", "ci k=ABC", "flags are Go's"},
				{"GET - /two/a/x/b/x/c", "two a=a/x/b b=c", "the last that spans gets the least"},
				{"GET - /z/a/b.png", "sfx p=a/b", "text beside an expression that spans"},
				{"GET - /lz/a/b/c", "lazy p=a/b q=c", "also if the expression is lazy"},
			},
		},
		"order of expressions": {
			[]string{"any - - /e/{x:.*}", "num - - /e/{x:[0-9]+}", "low - - /e/{x:[0-9a-z]+}", "pre - - /e/id-{x:.+}", "more - - /e/{x:[a-z]+}-{y:[a-z]+}", "less - - /e/{x:[a-z-]+}", "var - - /e/{x}"},
			[]matchCase{
				{"GET - /e/7", "num x=7", "one that cannot span goes before one that can; '+' sorts before 'a' in the text"},
				{"GET - /e/7a", "low x=7a", "the next in the text's order"},
				{"GET - /e/id-a", "more x=id y=a", "cannot span, more literal text than {x:[a-z-]+}"},
				{"GET - /e/id-7", "pre x=7", "can span, more literal text than {x:.*}"},
				{"GET - /e/a-b-c", "less x=a-b-c", "the only one that cannot span and fits"},
				{"GET - /e/A", "any x=A", "an expression that spans still goes before {x}"},
				{"GET - /e/%0A", "var x=\n~%0A", "'.' matches no newline, a variable does"},
			},
		},
		"prefixes": {
			[]string{"all - - /*", "api - - /api/*", "v1 - - /api/v1/*", "exact - - /api/v1", "users - - /u/{id}/*", "num - - /u/{id:[0-9]+}/*", "span - - /w/{p:.+}/x/*"},
			[]matchCase{
				{"GET - /", "all rest=/", "everything is below the root"},
				{"GET - /x/y", "all rest=/x/y", "nothing is taken off"},
				{"GET - /api", "api rest=/", "the prefix itself"},
				{"GET - /api/", "api rest=/", "and with a slash"},
				{"GET - /api/x/", "api rest=/x/", "what follows is kept as it is"},
				{"GET - /apifoo", "all rest=/apifoo", "a prefix ends at a slash"},
				{"GET - /api%2Fx", "all rest=/api/x~/api%2Fx", "not at an encoded one"},
				{"GET - /api/v1", "exact", "an exact trigger goes before a prefix that ends in the same place"},
				{"GET - /api/v1/", "v1 rest=/", "the exact one does not match a slash at the end"},
				{"GET - /api/v1/x", "v1 rest=/x", "the longer prefix"},
				{"GET - /api/v2/x", "api rest=/v2/x", "the longer prefix does not fit"},
				{"GET - /api/a%2Fb", "api rest=/a/b~/a%2Fb", "what follows is also there escaped"},
				{"GET - /api/a%20b", "api rest=/a b~/a%20b", "with default escaping as well"},
				{"GET - /u/a/b/c", "users id=a rest=/b/c", "a variable before the end"},
				{"GET - /u/a", "users id=a rest=/", "and nothing behind"},
				{"GET - /u", "all rest=/u", "the variable is missing"},
				{"GET - /u/7/x", "num id=7 rest=/x", "an expression before the end"},
				{"GET - /w/a/x/b/x/c", "span p=a/x/b rest=/c", "an expression that spans takes what it can"},
				{"GET - /w/a/x", "span p=a rest=/", "and leaves nothing if there is nothing"},
			},
		},
		"hosts": {
			[]string{"a - A.example.com /x", "w - *.example.com /x", "none - - /x", "wy - *.example.com /y", "noney - - /y/z", "ay - a.example.com /y/*", "ip - [2001:DB8::1] /x", "v4 - 192.0.2.1 /x", "multi - b.test,c.test /m", "local - localhost /x"},
			[]matchCase{
				{"GET a.example.com /x", "a", "an exact host goes before a wildcard"},
				{"GET A.EXAMPLE.com /x", "a", "case does not count"},
				{"GET a.example.com:8443 /x", "a", "nor does the port"},
				{"GET b.example.com /x", "w", "a wildcard goes before no host"},
				{"GET B.Example.COM:80 /x", "w", "also with case and port"},
				{"GET a.b.example.com /x", "none", "a wildcard is one label"},
				{"GET example.com /x", "none", "not none"},
				{"GET .example.com /x", "none", "nor an empty one"},
				{"GET other.test /x", "none", "any other host"},
				{"GET - /x", "none", "also none at all"},
				{"GET a.example.com /y", "ay rest=/", "the host counts before the path: an exact host's prefix before a wildcard's exact path"},
				{"GET b.example.com /y", "wy", "wildcard"},
				{"GET b.example.com /y/z", "noney", "the wildcard has no such path: on to the triggers without host"},
				{"GET [2001:db8:0::1]:443 /x", "ip", "an IPv6 address in any spelling"},
				{"GET [2001:db8::2]:443 /x", "none", "but no other one"},
				{"GET [2001:db8::1 /x", "none", "a host that is none"},
				{"GET 192.0.2.1:80 /x", "v4", "an IPv4 address"},
				{"GET LOCALHOST:8080 /x", "local", "a host of one label"},
				{"GET b.test /m", "multi", "the first of two hosts"},
				{"GET c.test /m", "multi", "the second"},
				{"GET d.test /m", "404", "and no other"},
			},
		},
		"methods": {
			[]string{"get GET - /a", "post post - /a", "head HEAD - /h", "hget GET - /h", "any - - /any", "put PUT - /b/{x:[0-9]+}", "del DELETE - /b/{x}", "bget GET - /b/*", "wild GET *.test /c", "noh POST - /c", "purge PURGE - /p"},
			[]matchCase{
				{"GET - /a", "get", "one method"},
				{"POST - /a", "post", "the other; methods are upper-cased in a trigger"},
				{"HEAD - /a", "get", "GET serves HEAD"},
				{"HEAD - /h", "head", "a HEAD trigger goes first"},
				{"GET - /h", "hget", "and does not take GET"},
				{"PUT - /a", "405 GET,HEAD,POST", "path and host fit, the method does not"},
				{"get - /a", "405 GET,HEAD,POST", "a request's method is case-sensitive"},
				{"PUT - /zzz", "404", "no path: no 405"},
				{"BREW - /any", "any", "no methods are all methods"},
				{"PUT - /b/1", "put x=1", "the first candidate"},
				{"DELETE - /b/1", "del x=1", "its method does not fit: the next"},
				{"GET - /b/1", "bget rest=/1", "and the next"},
				{"HEAD - /b/1", "bget rest=/1", "HEAD too"},
				{"POST - /b/1", "405 DELETE,GET,HEAD,PUT", "Allow has what all of them serve"},
				{"POST - /b/x", "405 DELETE,GET,HEAD", "but only those whose path fits"},
				{"GET a.test /c", "wild", "the wildcard host"},
				{"POST a.test /c", "noh", "its method does not fit: on to no host"},
				{"PUT a.test /c", "405 GET,HEAD,POST", "Allow over hosts"},
				{"GET - /c", "405 POST", "a host that does not fit is not in it"},
				{"PURGE - /p", "purge", "methods of one's own"},
				{"GET - /p", "405 PURGE", "are allowed alone"},
			},
		},
		"cleaning": {
			[]string{"a - - /a", "as - - /a/", "b - - /b/*", "x - - /v/{x}", "secret - - /secret/*"},
			[]matchCase{
				{"GET - //a", "a", "slashes are merged"},
				{"GET - /x/../a", "a", "dot segments are resolved"},
				{"GET - /./a", "a", "single dots too"},
				{"GET - /a/.", "a", "as Caddy: no slash at the end where none was"},
				{"GET - /a//", "as", "the slash at the end is kept"},
				{"GET - /a/../../../a", "a", "nothing is above the root"},
				{"GET - /x/%2e%2E/a", "a", "encoded dots are dots"},
				{"GET - /%2e/a", "a", "single ones too"},
				{"GET - /b/x/../../secret/y", "secret rest=/y", "a path is no prefix's if it leaves it"},
				{"GET - /b/%2e%2e/secret/y", "secret rest=/y", "however it is written"},
				{"GET - /b/..%2Fsecret/y", "404", "encoded slash and dot segment: others read another path"},
				{"GET - /b%2Fx/../secret/y", "404", "either way round"},
				{"GET - /b/x%2F..%2Fy", "404", "also within one segment"},
				{"GET - /v/..a", "x x=..a", "two dots and more are text"},
				{"GET - /v/...", "x x=...", "three dots too"},
				{"GET - /v/.hidden", "x x=.hidden", "a dot at the start is text"},
				{"GET - /v/https:%2F%2Fexample.com", "x x=https://example.com~https:%2F%2Fexample.com", "encoded slashes are not merged"},
				{"GET - //v/a%2F%2Fb", "x x=a//b~a%2F%2Fb", "also if others are"},
				{"GET - /b//x/", "b rest=/x/", "the rest is the cleaned path's"},
				{"GET - /b/x%20y//z", "b rest=/x y/z~/x%20y/z", "escaped as well"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			table := mustCompile(t, lines(g.triggers...))
			for _, c := range g.cases {
				m := Match{Params: make([]Param, 0, 4)}
				o := table.Match(request(t, c.request), &m)
				if got := describe(o, &m); got != c.want {
					t.Errorf("%s\n got  %s\n want %s\n why: %s", c.request, got, c.want, c.why)
				}
			}
		})
	}
}

func TestMatchOfPathsThatNetHTTPDoesNotMake(t *testing.T) {
	table := mustCompile(t, lines("root - - /", "all - - /p/*", "var - - /v/{x}"))
	for why, c := range map[string]struct {
		path, raw, want string
	}{
		"an empty path is the root":                     {"", "", "root"},
		"the path of OPTIONS *":                         {"*", "", "404"},
		"a path that is relative":                       {"p/x", "", "404"},
		"a RawPath that is another path is ignored":     {"/v/a", "/v/b%2Fc", "var x=a"},
		"a RawPath that is not encoded well is ignored": {"/v/a", "/v/%zz", "var x=a"},
		"a RawPath that ends in the middle of a byte":   {"/v/a", "/v/a%2", "var x=a"},
		"a RawPath that is longer is ignored":           {"/v/a", "/v/aa", "var x=a"},
		"a RawPath that is shorter is ignored":          {"/v/a", "/v/", "var x=a"},
		"a RawPath without its first slash":             {"/v/a", "%2Fv/a", "var x=a"},
		"default escaping of a rewritten path":          {"/v/a b", "", "var x=a b~a%20b"},
	} {
		var m Match
		if got := describe(table.Match(Request{Method: "GET", Path: c.path, RawPath: c.raw}, &m), &m); got != c.want {
			t.Errorf("%s: Path %q, RawPath %q: got %s, want %s", why, c.path, c.raw, got, c.want)
		}
	}
}

func TestMatchForgetsTheRequestBefore(t *testing.T) {
	table := mustCompile(t, lines("v GET a.test /v/{x}", "p - - /p/*"))
	var m Match
	for _, c := range []struct{ request, want string }{
		{"GET a.test /v/1", "v x=1"},
		{"POST a.test /v/1", "405 GET,HEAD"},
		{"GET - /p/2", "p rest=/2"},
		{"GET - /none", "404"},
	} {
		if got := describe(table.Match(request(t, c.request), &m), &m); got != c.want {
			t.Errorf("%s: got %s, want %s", c.request, got, c.want)
		}
	}
	if m.Trigger != nil || m.Picker != nil || m.Host != "" || m.Prefix || len(m.Params) > 0 || m.Allow != nil {
		t.Errorf("after a miss, Match is %+v; want nothing of the matches before", m)
	}
}

func TestMatchTellsHostPickerAndVariables(t *testing.T) {
	table := mustCompile(t, lines("w - *.example.com /v/{x}"))
	var m Match
	table.Match(request(t, "GET a.example.com /v/1"), &m)
	if x, ok := m.Value("x"); m.Host != "*.example.com" || x != "1" || !ok {
		t.Errorf("Host %q, x %q; want *.example.com and 1", m.Host, x)
	}
	if _, ok := m.Value("y"); ok {
		t.Error("Value(y) was found; the pattern has no y")
	}
	if got := m.Trigger.Functions[m.Picker.Pick(1)].Ref.Name; got != "w" {
		t.Errorf("picked %q, want w", got)
	}
}

func TestMatchIsSafeForConcurrentUse(t *testing.T) {
	table := mustCompile(t, lines("num - - /n/{x:[0-9]+}", "path - - /p/{x:.+}/e", "text - - /{x}.json", "h - *.test /h"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var m Match
			for range 100 {
				for _, c := range [][2]string{{"/n/1", "num x=1"}, {"/p/a/b/e", "path x=a/b"}, {"/a.json", "text x=a"}, {"/h", "h"}} {
					if got := describe(table.Match(Request{Host: "a.test", Method: "GET", Path: c[0]}, &m), &m); got != c[1] {
						t.Errorf("%s: got %s, want %s", c[0], got, c[1])
					}
				}
			}
		})
	}
	wg.Wait()
}
