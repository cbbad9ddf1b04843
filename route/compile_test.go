package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCompileRefuses(t *testing.T) {
	sticky := func(source, name string) func(*Trigger) {
		return func(t *Trigger) { t.Sticky = Sticky{source, name} }
	}
	for why, c := range map[string]struct {
		path   string
		change func(*Trigger)
		want   string
	}{
		"an empty path":                    {"", nil, "does not begin with '/'"},
		"a relative path":                  {"orders", nil, "does not begin with '/'"},
		"a star in a segment":              {"/a*", nil, "'*' may only stand at the end"},
		"a star in the middle":             {"/a/*/b", nil, "'*' may only stand at the end"},
		"two stars":                        {"/**", nil, "'*' may only stand at the end"},
		"a star after a variable":          {"/{a}*", nil, "'*' may only stand at the end"},
		"an empty segment":                 {"/a//b", nil, "empty segment"},
		"an empty segment first":           {"//a", nil, "empty segment"},
		"an empty segment before a prefix": {"/a//*", nil, "empty segment"},
		"a dot segment":                    {"/a/./b", nil, "never matches"},
		"an encoded dot segment":           {"/a/%2e%2E", nil, "never matches"},
		"a query":                          {"/a?x=1", nil, "no query"},
		"a bad escape":                     {"/100%", nil, "%25"},
		"an open brace":                    {"/a/{id", nil, "not closed"},
		"an open brace in an expression":   {"/a/{id:[0-9]{2}", nil, "not closed"},
		"a closing brace":                  {"/a/id}", nil, "'}' without '{'"},
		"a variable without name":          {"/a/{}", nil, "no name"},
		"an expression without name":       {"/a/{:[0-9]+}", nil, "no name"},
		"a name with a space":              {"/a/{x y}", nil, "variable name"},
		"a name that begins with a digit":  {"/a/{1x}", nil, "variable name"},
		"a variable twice":                 {"/{x}/{x}", nil, "{x} occurs twice"},
		"a variable twice in a segment":    {"/{x}-{x:[a-z]}", nil, "{x} occurs twice"},
		"an empty expression":              {"/{x:}", nil, "empty regular expression"},
		"a bad expression":                 {"/{x:[}", nil, "missing closing ]"},
		"parentheses that do not balance":  {"/{x:a)(b}", nil, "unexpected )"},
		"an expression too large":          {"/{x:(a{1000}){1000}}", nil, "repeat count"},
		"a port":                           {"/a", func(t *Trigger) { t.Hosts = []string{"example.com:80"} }, "without a port"},
		"a port of an address":             {"/a", func(t *Trigger) { t.Hosts = []string{"[::1]:80"} }, "without a port"},
		"an empty host":                    {"/a", func(t *Trigger) { t.Hosts = []string{""} }, "a host is empty"},
		"a placeholder in a host":          {"/a", func(t *Trigger) { t.Hosts = []string{"{env.HOST}"} }, "unknown placeholder"},
		"a lone star as host":              {"/a", func(t *Trigger) { t.Hosts = []string{"*"} }, "'*' may only be"},
		"a star that is not the label":     {"/a", func(t *Trigger) { t.Hosts = []string{"a*.example.com"} }, "'*' may only be"},
		"a star that is not first":         {"/a", func(t *Trigger) { t.Hosts = []string{"a.*.com"} }, "'*' may only be"},
		"an empty label":                   {"/a", func(t *Trigger) { t.Hosts = []string{"a..com"} }, "a label is empty"},
		"a host that is not ASCII":         {"/a", func(t *Trigger) { t.Hosts = []string{"bücher.example"} }, "xn--"},
		"a host with a path":               {"/a", func(t *Trigger) { t.Hosts = []string{"a.com/x"} }, "may not be in a host"},
		"a host too long":                  {"/a", func(t *Trigger) { t.Hosts = []string{strings.Repeat("a.", 130) + "a"} }, "longer than 253"},
		"a host twice":                     {"/a", func(t *Trigger) { t.Hosts = []string{"a.com", "A.com"} }, "named twice"},
		"an empty method":                  {"/a", func(t *Trigger) { t.Methods = []string{""} }, "not a method"},
		"a method with a space":            {"/a", func(t *Trigger) { t.Methods = []string{"GET POST"} }, "not a method"},
		"a method twice":                   {"/a", func(t *Trigger) { t.Methods = []string{"GET", "get"} }, "named twice"},
		"no function":                      {"/a", func(t *Trigger) { t.Functions = nil }, "no function"},
		"a function without name":          {"/a", func(t *Trigger) { t.Functions[0].Ref.Name = "" }, "no name"},
		"weights that sum to 0":            {"/a", func(t *Trigger) { t.Functions[0].Weight = 0 }, "sum up to 0"},
		"a negative weight":                {"/a", func(t *Trigger) { t.Functions[0].Weight = -1 }, "negative weight -1"},
		"an unknown sticky source":         {"/a", sticky("coin", ""), "cookie, header, query or client_ip"},
		"a sticky cookie without name":     {"/a", sticky(StickyCookie, ""), "not the name of a cookie"},
		"a sticky header that is none":     {"/a", sticky(StickyHeader, "X Y"), "not the name of a header"},
		"a sticky query without name":      {"/a", sticky(StickyQuery, ""), "no name"},
		"a sticky address with a name":     {"/a", sticky(StickyClientIP, "x"), "takes no name"},
		"a sticky name alone":              {"/a", sticky("", "x"), "takes no name"},
	} {
		trigger := Trigger{Name: "split", Where: "Caddyfile:12", Path: c.path, Functions: one("f")}
		if c.change != nil {
			c.change(&trigger)
		}
		_, err := Compile([]Trigger{trigger})
		if err == nil {
			t.Errorf("%s: Compile(%+v) took it; want an error", why, trigger)
			continue
		}
		for _, want := range []string{"Caddyfile:12", `"split"`, c.want} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q; want %q in it", why, err, want)
			}
		}
	}
}

func TestCompileAccepts(t *testing.T) {
	for _, path := range []string{"/", "/*", "/{x}/*", "/{x:a/b}/*", "/{_x-1}", "/a/", "/{path}", "/{x:[{]}]}", "/{x:\\}}", "/a:b", "/{x:a:b}", "/..a"} {
		if _, err := Compile([]Trigger{{Path: path, Functions: one("f")}}); err != nil {
			t.Errorf("Compile(%q) = %v; want a table", path, err)
		}
	}
}

func TestConflicts(t *testing.T) {
	for why, c := range map[string]struct {
		triggers []string
		want     string // what the error says they share; empty is no error
	}{
		"the same path":                       {[]string{"one - - /a", "two - - /a"}, "every method"},
		"variables of other names":            {[]string{"one - - /a/{x}", "two - - /a/{y}"}, "every method"},
		"the same method":                     {[]string{"one GET,PUT - /a", "two POST,put - /a"}, "PUT"},
		"every method has it":                 {[]string{"one GET - /a", "two - - /a"}, "GET"},
		"the same expression":                 {[]string{"one - - /a/{x:[0-9]+}", "two - - /a/{y:[0-9]+}"}, "every method"},
		"the same mixed segment":              {[]string{"one - - /{x}.json", "two - - /{y}.json"}, "every method"},
		"the same text, escaped in one":       {[]string{"one - - /a b", "two - - /a%20b"}, "every method"},
		"the same prefix":                     {[]string{"one - - /a/*", "two - - /a/*"}, "every method"},
		"one host of several":                 {[]string{"one - a.test,b.test /a", "two - c.test,B.test /a"}, "every method on host b.test"},
		"a method of one's own":               {[]string{"one PURGE - /a", "two purge - /a"}, "PURGE"},
		"other methods":                       {[]string{"one GET - /a", "two POST - /a"}, ""},
		"GET and HEAD":                        {[]string{"one GET - /a", "two HEAD - /a"}, ""},
		"other expressions":                   {[]string{"one - - /a/{x:[0-9]+}", "two - - /a/{x:[0-9]{1,}}"}, ""},
		"a variable and an expression":        {[]string{"one - - /a/{x}", "two - - /a/{x:[^/]+}"}, ""},
		"exact and prefix":                    {[]string{"one - - /a", "two - - /a/*"}, ""},
		"a slash at the end":                  {[]string{"one - - /a", "two - - /a/"}, ""},
		"other hosts":                         {[]string{"one - a.test /a", "two - b.test /a"}, ""},
		"a host and no host":                  {[]string{"one - a.test /a", "two - - /a"}, ""},
		"a host and a wildcard that takes it": {[]string{"one - a.test /a", "two - *.test /a"}, ""},
	} {
		triggers := lines(c.triggers...)
		_, err := Compile(triggers)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v; want no error", why, err)
			}
			continue
		}
		for _, want := range []string{`Caddyfile:1: trigger "one"`, `Caddyfile:2: trigger "two"`, c.want} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v; want %q in it", why, err, want)
			}
		}
	}
}

func TestCompileTellsOfManyErrorsAndCountsTheRest(t *testing.T) {
	var triggers []Trigger
	for i := range 100 {
		triggers = append(triggers, Trigger{Path: fmt.Sprintf("bad%d", i), Functions: one("f")})
	}
	_, err := Compile(triggers)
	for _, want := range []string{`"bad0"`, `"bad9"`, "90 more"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q in it", err, want)
		}
	}
}

func TestCompileLeavesTheTriggersAlone(t *testing.T) {
	data := new(int)
	triggers := []Trigger{{Path: "/a", Methods: []string{"get"}, Hosts: []string{"A.test"}, Functions: one("f"), Data: data}}
	table := mustCompile(t, triggers)
	if got := triggers[0]; got.Methods[0] != "get" || got.Hosts[0] != "A.test" {
		t.Errorf("after Compile the trigger is %+v; want it as it was", got)
	}
	triggers[0].Functions[0].Weight = 7
	var m Match
	if o := table.Match(Request{Host: "a.TEST", Method: "GET", Path: "/a"}, &m); o != Matched {
		t.Fatalf("Match = %v; want a match", o)
	}
	if got := m.Trigger; got.Methods[0] != "GET" || got.Hosts[0] != "a.test" || got.Functions[0].Weight != 1 || got.Data != any(data) {
		t.Errorf("the table's trigger is %+v; want GET, a.test, weight 1 and the data", got)
	}
}

func TestTriggersComeInOrderOfPrecedence(t *testing.T) {
	want := []string{
		"a.test /z/*", "b.test /a", "*.a.test /a", "*.z.test /a",
		" /a/b/{x}", " /a/b/*", " /a/{x:[0-9]+}", " /a/{x:.*}/c", " /a/{x:.*}", " /a/{x}/{y}", " /a/{x}", " /a/{x}/*", " /a", " /a/*", " /*",
	}
	for seed := range uint64(20) {
		var triggers []Trigger
		for _, i := range shuffled(seed, len(want)) {
			host, path, _ := strings.Cut(want[i], " ")
			trigger := Trigger{Path: path, Functions: one("f")}
			if host != "" {
				trigger.Hosts = []string{host}
			}
			triggers = append(triggers, trigger)
		}
		table := mustCompile(t, triggers)
		var got []string
		for host, trigger := range table.Triggers() {
			got = append(got, host+" "+trigger.Path)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("Triggers()\n got  %q\n want %q", got, want)
		}
		if table.Len() != len(want) {
			t.Errorf("Len() = %d, want %d", table.Len(), len(want))
		}
	}
}

func TestAnEmptyTableHasNoRoute(t *testing.T) {
	var m Match
	if got := mustCompile(t, nil).Match(Request{Host: "a.test", Method: "GET", Path: "/"}, &m); got != NoRoute {
		t.Errorf("Match = %v, want %v", got, NoRoute)
	}
}
