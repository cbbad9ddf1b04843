package route

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// lines makes triggers of lines "<name> <methods> <hosts> <path>", where "-" is
// none. The function is named as the trigger is.
func lines(text ...string) []Trigger {
	var triggers []Trigger
	for i, line := range text {
		f := strings.SplitN(line, " ", 4)
		triggers = append(triggers, Trigger{
			Name: f[0], Where: fmt.Sprintf("Caddyfile:%d", i+1), Path: f[3],
			Methods: list(f[1]), Hosts: list(f[2]),
			Functions: one(f[0]),
		})
	}
	return triggers
}

func list(s string) []string {
	if s == "-" {
		return nil
	}
	return strings.Split(s, ",")
}

// one is a single function.
func one(name string) []Weighted {
	return []Weighted{{Ref: function.Ref{Namespace: "default", Name: name}, Weight: 1}}
}

func mustCompile(t testing.TB, triggers []Trigger) *Table {
	t.Helper()
	table, err := Compile(triggers)
	if err != nil {
		t.Fatalf("Compile(%v) = %v; want a table", triggers, err)
	}
	return table
}

// request reads "<method> <host> <target>" as net/http reads a request line.
func request(t testing.TB, s string) Request {
	t.Helper()
	f := strings.SplitN(s, " ", 3)
	u, err := url.ParseRequestURI(f[2])
	if err != nil {
		t.Fatalf("request %q: %v", s, err)
	}
	host := f[1]
	if host == "-" {
		host = ""
	}
	return Request{Method: f[0], Host: host, Path: u.Path, RawPath: u.RawPath}
}

// describe writes what was matched: "404", "405 <allow>", or the trigger's name,
// then "<var>=<value>" and for a prefix "rest=<rest>", each with "~<escaped>"
// if that is not the same.
func describe(o Outcome, m *Match) string {
	switch o {
	case NoRoute:
		return "404"
	case MethodNotAllowed:
		return "405 " + strings.Join(m.Allow, ",")
	}
	out := m.Trigger.Name
	add := func(name, value, escaped string) {
		out += " " + name + "=" + value
		if escaped != value {
			out += "~" + escaped
		}
	}
	for i, p := range m.Params {
		add(p.Name, p.Value, m.Escaped(i))
	}
	if m.Prefix {
		add("rest", m.Rest(), m.EscapedRest())
	}
	return out
}

// shuffled is the numbers below n in an order that the seed decides.
func shuffled(seed uint64, n int) []int {
	return rand.New(rand.NewPCG(seed, 0)).Perm(n)
}
