package caddytest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

const traced = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout 5s
	}
}
http://:{{.HTTP}} {
	tracing {
		span site
	}
	kubefaas {
		trigger /hello hello
		trigger /broken broken
	}
}
`

// traceOf makes a header that begins trace number n, and its id and the
// client's span.
func traceOf(n int) (header, trace, client string) {
	trace, client = fmt.Sprintf("%032x", n), fmt.Sprintf("%016x", 1000+n)
	return "00-" + trace + "-" + client + "-01", trace, client
}

// parentIn splits a traceparent header.
func parentIn(t *testing.T, header http.Header) (trace, id string) {
	t.Helper()
	parts := strings.Split(header.Get("Traceparent"), "-")
	if len(parts) != 4 {
		t.Fatalf("got traceparent %q, want four parts", header.Get("Traceparent"))
	}
	return parts[1], parts[2]
}

// one is the only span of a name.
func one(t *testing.T, spans map[string][]span, name string) span {
	t.Helper()
	if len(spans[name]) != 1 {
		t.Fatalf("got spans %+v, want one of name %q", spans, name)
	}
	return spans[name][0]
}

func TestTraceGoesThroughToFunctionAndExecutor(t *testing.T) {
	otlp := newCollector(t)
	p := startSites(t, traced, Process(), otlp.env())
	f := NewFunction(t)
	p.ex.Answer("hello", executortest.At(f.Addr()))

	header, trace, client := traceOf(1)
	cold := p.ask(t, http.MethodGet, "a", "/hello", "Traceparent", header, "Tracestate", "vendor=1").echo(t)
	spans := otlp.await(t, trace, 4)
	site, exchange := one(t, spans, "site"), one(t, spans, "exchange")
	start, attempt := one(t, spans, "cold start"), one(t, spans, "attempt")
	for _, test := range []struct {
		what      string
		got, want string
	}{
		{"parent of the site's span", site.parent, client},
		{"parent of the exchange", exchange.parent, site.id},
		{"parent of the cold start", start.parent, exchange.id},
		{"parent of the attempt", attempt.parent, exchange.id},
	} {
		if test.got != test.want {
			t.Errorf("%s: got span %s, want %s; all: %+v", test.what, test.got, test.want, spans)
		}
	}
	if id, parent := parentIn(t, cold.Header); id != trace || parent != attempt.id {
		t.Errorf("got trace %s, parent %s at the function, want %s and the attempt %s", id, parent, trace, attempt.id)
	}
	wantHeader(t, cold.Header, "Tracestate", "vendor=1")
	for _, call := range p.ex.Record() {
		if call.Name != executor.CallAddress {
			continue
		}
		if id, parent := parentIn(t, call.Header); id != trace || parent != exchange.id {
			t.Errorf("got trace %s, parent %s at the executor, want %s and the exchange %s, which began the call", id, parent, trace, exchange.id)
		}
		if call.Header.Get("X-Request-Id") != cold.Header.Get("X-Request-Id") {
			t.Errorf("got X-Request-Id %q at the executor, want %q as at the function", call.Header.Get("X-Request-Id"), cold.Header.Get("X-Request-Id"))
		}
	}
	for name, s := range spans {
		if s[0].failed {
			t.Errorf("got the span %q marked as failed, want none", name)
		}
	}

	header, trace, _ = traceOf(2)
	p.ask(t, http.MethodGet, "a", "/hello", "Traceparent", header).echo(t)
	if spans = otlp.await(t, trace, 3); len(spans["cold start"]) != 0 {
		t.Errorf("got spans %+v of a warm request, want no cold start", spans)
	}
}

// A dead address is an attempt that failed, and then a start.
func TestTraceShowsEachAttempt(t *testing.T) {
	otlp := newCollector(t)
	p := startSites(t, traced, Process(), otlp.env())
	dead, live := NewFunction(t), NewFunction(t)
	p.ex.Answer("hello", executortest.At(dead.Addr()))
	p.ask(t, http.MethodGet, "a", "/hello").echo(t)
	p.ex.Answer("hello", executortest.At(live.Addr()))
	dead.Kill()

	header, trace, _ := traceOf(3)
	seen := p.ask(t, http.MethodGet, "a", "/hello", "Traceparent", header).echo(t)
	spans := otlp.await(t, trace, 5)
	attempts := spans["attempt"]
	if len(attempts) < 2 || !attempts[0].failed || attempts[len(attempts)-1].failed || len(spans["cold start"]) != 1 {
		t.Fatalf("got spans %+v, want an attempt that failed, a cold start, and one that did not fail", spans)
	}
	exchange := one(t, spans, "exchange")
	for _, a := range attempts {
		if a.parent != exchange.id {
			t.Errorf("got attempt %+v, want it below the exchange %s", a, exchange.id)
		}
	}
	if _, parent := parentIn(t, seen.Header); parent != attempts[len(attempts)-1].id {
		t.Errorf("got parent %s at the function, want the last attempt %s", parent, attempts[len(attempts)-1].id)
	}
	if exchange.failed {
		t.Error("got the exchange marked as failed, want not: it ended well")
	}
}

func TestTraceShowsAFailure(t *testing.T) {
	otlp := newCollector(t)
	p := startSites(t, traced, Process(), otlp.env())
	p.ex.Answer("broken", executortest.Fail(http.StatusInternalServerError, "no"))
	header, trace, _ := traceOf(4)
	p.ask(t, http.MethodGet, "a", "/broken", "Traceparent", header)
	spans := otlp.await(t, trace, 3)
	if start, exchange := one(t, spans, "cold start"), one(t, spans, "exchange"); !start.failed || !exchange.failed || len(spans["attempt"]) != 0 {
		t.Errorf("got spans %+v, want a cold start and an exchange that failed, and no attempt", spans)
	}
}

// Without the directive no trace is made up, and the client's passes as it is.
func TestWithoutTracingTheClientsTracePasses(t *testing.T) {
	p := startSites(t, strings.Replace(traced, "tracing {\n\t\tspan site\n\t}", "", 1))
	f := NewFunction(t)
	p.ex.Answer("hello", executortest.At(f.Addr()))
	header, _, _ := traceOf(5)
	wantHeader(t, p.ask(t, http.MethodGet, "a", "/hello", "Traceparent", header).echo(t).Header, "Traceparent", header)
	wantHeader(t, p.ask(t, http.MethodGet, "a", "/hello").echo(t).Header, "Traceparent")
}
