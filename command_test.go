package kubefaas

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestFunctionLines(t *testing.T) {
	for what, tt := range map[string]struct {
		line string
		want []string
	}{
		"words":                        {"hello=python3 hello.py", []string{"python3", "hello.py"}},
		"an equals sign in the line":   {"hello=env A=b serve", []string{"env", "A=b", "serve"}},
		"double quotes":                {`hello=serve "a b" ""`, []string{"serve", "a b", ""}},
		"single quotes":                {`hello=sh -c 'echo "$PORT"; exit'`, []string{"sh", "-c", `echo "$PORT"; exit`}},
		"a backslash":                  {`hello=serve a\ b`, []string{"serve", "a b"}},
		"a dollar that nobody expands": {"hello=serve $PORT", []string{"serve", "$PORT"}},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := parseFunctionLines([]string{tt.line})
			if err != nil || len(got) != 1 || got[0].Name != "hello" || !slices.Equal(got[0].Command, tt.want) {
				t.Errorf("--function %s: got %+v, %v; want the command %q of hello", tt.line, got, err, tt.want)
			}
		})
	}
}

func TestFunctionLinesThatAreRefused(t *testing.T) {
	for what, tt := range map[string]struct {
		lines []string
		want  string
	}{
		"none at all":               {nil, "no function"},
		"no equals sign":            {[]string{"hello"}, "<name>='<program> [<args>]'"},
		"no name":                   {[]string{"=serve"}, "name"},
		"a name with a slash":       {[]string{"a/b=serve"}, `"/" may not be in a name`},
		"a name twice":              {[]string{"a=serve", "a=serve"}, "given twice"},
		"no program":                {[]string{"a="}, "names no program"},
		"nothing but a space":       {[]string{"a= "}, "names no program"},
		"an empty program":          {[]string{`a="" b`}, "names no program"},
		"a quote that is left open": {[]string{"a=serve 'b"}, "left open"},
		"what needs a shell":        {[]string{"a=serve && more"}, `'&' has to be quoted`},
		"a pipe after an umlaut":    {[]string{"a=größe | more"}, `'|' has to be quoted`},
	} {
		t.Run(what, func(t *testing.T) {
			got, err := parseFunctionLines(tt.lines)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q: got %+v, %v; want an error with %q", tt.lines, got, err, tt.want)
			}
		})
	}
}

func TestBaseURL(t *testing.T) {
	for listen, want := range map[string]string{
		":8080":          "http://localhost:8080",
		"0.0.0.0:80":     "http://localhost:80",
		"[::]:80":        "http://localhost:80",
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"[::1]:8080":     "http://[::1]:8080",
		"host.test:8080": "http://host.test:8080",
	} {
		if got, err := baseURL(listen); err != nil || got != want {
			t.Errorf("--listen %s: got %q, %v; want %q", listen, got, err, want)
		}
	}
	for _, listen := range []string{"", "8080", "host", ":0", ":8080-8090", ":99999", "udp/:8080", "unix//run/socket", ":nonsense"} {
		if got, err := baseURL(listen); err == nil {
			t.Errorf("--listen %s: got %q; want an error", listen, got)
		}
	}
}

func TestTerminalShowsALineForEachEvent(t *testing.T) {
	ref := function.Ref{Namespace: function.DefaultNamespace, Name: "hello"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, e := range map[string]process.Event{
		"03:04:05  hello            start  pid 7\n": {Kind: process.EventStart, Pid: 7},
		"03:04:05  hello            ready  pid 7  after 30ms  http://localhost:80/hello/\n": {
			Kind: process.EventReady, Pid: 7, Took: 30 * time.Millisecond},
		"03:04:05  hello            stop   pid 7\n": {Kind: process.EventStop, Pid: 7},
		"03:04:05  hello            crash  pid 7  after 1s  signal: killed\n": {
			Kind: process.EventCrash, Pid: 7, Took: time.Second, Err: &process.ExitError{State: "signal: killed", Tail: []string{"shown already"}}},
		"03:04:05  hello            crash  pid 7  after 1s  exit status 3, before it was ready\n": {
			Kind: process.EventCrash, Pid: 7, Took: time.Second, Err: &process.ExitError{State: "exit status 3", AtStart: true}},
		"03:04:05  hello            crash  after 0s  it was not ready in time\n": {
			Kind: process.EventCrash, Err: &process.StartError{Err: process.ErrStartTimeout}},
	} {
		var out strings.Builder
		e.Function, e.At = ref, at
		(&terminal{out: &out, base: "http://localhost:80"}).tell(e)
		if out.String() != want {
			t.Errorf("%s: got %q; want %q", e.Kind, out.String(), want)
		}
	}
}
