package caddytest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// fakeTB stands in for a test that is expected to fail.
type fakeTB struct {
	testing.TB
	message string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Fatal(args ...any) {
	f.message = fmt.Sprint(args...)
	runtime.Goexit()
}

func (f *fakeTB) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }

// failureOf returns the message with which f fails its test; "" if it does not.
func failureOf(t *testing.T, f func(testing.TB)) string {
	t.Helper()
	fake := &fakeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(fake)
	}()
	<-done
	return fake.message
}

func TestWhatCannotStartFails(t *testing.T) {
	for name, test := range map[string]struct {
		start func(testing.TB)
		want  []string
	}{
		"a Caddyfile that does not parse": {
			func(t testing.TB) { Start(t, Caddyfile("http://:{{.HTTP}} {\n\tnonsense\n}\n")) },
			[]string{"starting Caddy", "Caddyfile:2", "nonsense"},
		},
		"a configuration that Caddy refuses": {
			func(t testing.TB) { Start(t, JSON(`{"apps": {"nonsense": {}}}`)) },
			[]string{"starting Caddy", "nonsense"},
		},
		"a process that ends, with its log": {
			func(t testing.TB) { Start(t, JSON(`{"apps": {"nonsense": {}}}`), Process()) },
			[]string{"starting Caddy", "exit status 1", "unknown module: nonsense"},
		},
		"an environment without a process": {
			func(t testing.TB) { Start(t, responding("x"), Env("A=b")) },
			[]string{"Env needs Process()"},
		},
		"a second Caddy in the same process": {
			func(t testing.TB) { Start(t, responding("x")); Start(t, responding("x")) },
			[]string{"Process()"},
		},
		"a kill of this very process": {
			func(t testing.TB) { Start(t, responding("x")).Kill(t) },
			[]string{"Kill needs", "Process()"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := failureOf(t, test.start)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("got failure %q, want one with %q", got, want)
				}
			}
		})
	}
}
