package caddytest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// phaseNames are the parts of Server-Timing, in order.
var phaseNames = []string{"match", "wait", "start", "dial", "ttfb"}

// phases reads the router's part of Server-Timing, in milliseconds.
func (r reply) phases(t *testing.T) (phases map[string]float64, sum float64) {
	t.Helper()
	lines := r.header.Values("Server-Timing")
	if len(lines) == 0 {
		t.Fatalf("got no Server-Timing, want one; status %d", r.status)
	}
	phases = make(map[string]float64)
	var names []string
	for metric := range strings.SplitSeq(lines[len(lines)-1], ", ") {
		name, text, ok := strings.Cut(metric, ";dur=")
		ms, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil || ms < 0 {
			t.Fatalf("got Server-Timing %q, want <name>;dur=<milliseconds>, …", lines)
		}
		names = append(names, name)
		phases[name] = ms
		sum += ms
	}
	if fmt.Sprint(names) != fmt.Sprint(phaseNames) {
		t.Fatalf("got phases %q, want %q", names, phaseNames)
	}
	return phases, sum
}

const timed = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout 300ms
	}
}
http://:{{.HTTP}} {
	log
	log_append match {http.kubefaas.match_ms}
	log_append wait {http.kubefaas.wait_ms}
	log_append start {http.kubefaas.start_ms}
	log_append dial {http.kubefaas.dial_ms}
	log_append ttfb {http.kubefaas.ttfb_ms}
	kubefaas {
		server_timing
		trigger /timed/* timed
		trigger /hangs hangs
		trigger /dead dead
		trigger POST /post timed
	}
}
http://partly:{{.HTTP}} {
	kubefaas {
		trigger /with timed {
			server_timing
		}
		trigger /without timed
	}
}
`

// checkPhases compares the phases of a reply with those that the access log
// has of it, as fields and by placeholders, and returns what of Caddy's own
// measure of the request they do not cover, in milliseconds.
func (p *platform) checkPhases(t *testing.T, r reply, uri string) (uncovered float64) {
	t.Helper()
	phases, sum := r.phases(t)
	entry := p.accessLog(t, `"uri":"`+uri+`"`)
	fields, _ := entry["kubefaas_ms"].(map[string]any)
	for _, name := range phaseNames {
		if fields[name] != phases[name] && !near(fields[name], phases[name]) {
			t.Errorf("%s: got %s %v in the access log, want %v as in Server-Timing", uri, name, fields[name], phases[name])
		}
		if text, _ := entry[name].(string); text != fmt.Sprintf("%.3f", phases[name]) {
			t.Errorf("%s: got placeholder %s %v, want %.3f as in Server-Timing", uri, name, entry[name], phases[name])
		}
	}
	duration, _ := entry["duration"].(float64)
	uncovered = duration*1e3 - sum
	if uncovered < -0.01 {
		t.Errorf("%s: got phases of %.3f ms, want no more than the whole request's %.3f", uri, sum, duration*1e3)
	}
	return uncovered
}

// near says whether a number of the log is ms but for what printing rounds.
func near(field any, ms float64) bool {
	f, ok := field.(float64)
	return ok && f-ms < 0.001 && ms-f < 0.001
}

// The parts add up to what Caddy itself measures, within the millisecond that
// the answer's way out may take on a machine that has the time.
func TestServerTimingAddsUp(t *testing.T) {
	p := startSites(t, timed)
	f := NewFunction(t, Delay(5*time.Millisecond))
	p.ex.Answer("timed", executortest.Answer{Text: f.Addr(), Delay: 20 * time.Millisecond})
	for name, prepare := range map[string]func(){
		"cold": func() { p.Admin(t, http.MethodDelete, "/kubefaas/addresses/default/timed", "") },
		"warm": func() {},
	} {
		t.Run(name, func(t *testing.T) {
			p.ask(t, http.MethodGet, "a", "/timed/first-"+name)
			best := 1e9
			for n := 0; n < 100 && best > 1; n++ {
				prepare()
				uri := fmt.Sprintf("/timed/%s-%d", name, n)
				r := p.ask(t, http.MethodGet, "a", uri)
				best = min(best, p.checkPhases(t, r, uri))
				phases, _ := r.phases(t)
				if phases["ttfb"] < 5 {
					t.Errorf("got ttfb %v ms, want the function's 5 at least", phases["ttfb"])
				}
				if cold := name == "cold"; cold != (phases["start"] > 10) || r.header.Get("X-Kubefaas-Cold") != fmt.Sprint(cold) {
					t.Errorf("got start %v ms and X-Kubefaas-Cold %q, want those of a %s request", phases["start"], r.header.Get("X-Kubefaas-Cold"), name)
				}
			}
			if best > 1 {
				t.Errorf("got %.3f ms at least that no phase covers, want 1 at most", best)
			}
		})
	}
}

// A program that listens late is waited for by dialling.
func TestServerTimingShowsTheDial(t *testing.T) {
	p := startSites(t, timed)
	f := NewFunction(t, ListenAfter(100*time.Millisecond))
	p.ex.Answer("timed", executortest.At(f.Addr()))
	r := p.ask(t, http.MethodGet, "a", "/timed/late")
	if phases, _ := r.phases(t); phases["dial"] < 50 || phases["start"] > phases["dial"] || r.header.Get("X-Kubefaas-Cold") != "true" {
		t.Errorf("got %v and cold %q, want most of 100 ms in dial", phases, r.header.Get("X-Kubefaas-Cold"))
	}
}

// A failure shows where the time went too.
func TestServerTimingIsOnFailures(t *testing.T) {
	p := startSites(t, timed)
	f, dead := NewFunction(t), NewFunction(t, Down())
	p.ex.Answer("timed", executortest.At(f.Addr()))
	p.ex.Answer("hangs", executortest.Answer{Until: make(chan struct{})})
	p.ex.Answer("dead", executortest.At(dead.Addr()))
	p.ask(t, http.MethodGet, "a", "/timed/warm")
	for name, test := range map[string]struct {
		path   string
		header []string
		reason string
		cold   string
		phase  string // the one that has more than 200 ms
	}{
		"an executor that hangs":     {"/hangs", nil, "cold_start_timeout", "true", "start"},
		"an address that refuses":    {"/dead", nil, "connection_refused", "true", "dial"},
		"a function that hangs up":   {"/timed/abort", []string{DoHeader, "abort"}, "function_error", "false", ""},
		"a function's own failure":   {"/timed/status", []string{DoHeader, "status?code=500"}, "", "false", ""},
		"no route":                   {"/nothing", nil, "no_route", "false", ""},
		"a method that is not there": {"/post", nil, "method_not_allowed", "false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.ask(t, http.MethodGet, "a", test.path, test.header...)
			phases, _ := r.phases(t)
			if got := r.header.Get("X-Kubefaas-Cold"); r.reason() != test.reason || got != test.cold {
				t.Errorf("got reason %q and X-Kubefaas-Cold %q, want %q and %q", r.reason(), got, test.reason, test.cold)
			}
			if test.phase != "" && phases[test.phase] < 200 {
				t.Errorf("got phases %v, want more than 200 ms in %s", phases, test.phase)
			}
			p.checkPhases(t, r, test.path)
		})
	}
}

func TestServerTimingIsForTriggersThatAskForIt(t *testing.T) {
	p := startSites(t, timed)
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server-Timing", "db;dur=1")
	})))
	p.ex.Answer("timed", executortest.At(f.Addr()))
	with, without := p.ask(t, http.MethodGet, "partly", "/with"), p.ask(t, http.MethodGet, "partly", "/without")
	if lines := with.header.Values("Server-Timing"); len(lines) != 2 || lines[0] != "db;dur=1" {
		t.Errorf("got Server-Timing %q, want the function's own and the router's", lines)
	}
	with.phases(t)
	if lines := without.header.Values("Server-Timing"); len(lines) != 1 || lines[0] != "db;dur=1" || without.header.Get("X-Kubefaas-Cold") != "" {
		t.Errorf("got Server-Timing %q, X-Kubefaas-Cold %q, want the function's own only", lines, without.header.Get("X-Kubefaas-Cold"))
	}
	if r := p.ask(t, http.MethodGet, "partly", "/nothing"); r.header.Get("Server-Timing") != "" {
		t.Errorf("got Server-Timing %q where nobody asked for it, want none", r.header.Get("Server-Timing"))
	}
}
