package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The processes under test are this test program again.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

// quick are flags for a run that shows only that all works. Its figures say
// nothing.
func quick(flags ...string) []string {
	return append([]string{
		"-rounds", "1", "-duration", "100ms", "-connections", "4", "-triggers", "1000", "-functions", "20",
	}, flags...)
}

func TestEveryRowIsMeasured(t *testing.T) {
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), quick("-json", "-cpuprofile", "handler"), &stdout, &stderr); code != 0 {
		t.Fatalf("got exit code %d, want 0:\n%s\n%s", code, &stderr, &stdout)
	}
	var rep report
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rep); err != nil {
		t.Fatalf("reading the JSON: %v\n%s", err, &stdout)
	}
	if got, want := rep.Settings, (shown{Rounds: 1, Duration: 0.1, Connections: 4, Triggers: 1000, Functions: 20}); got != want {
		t.Errorf("got settings %+v, want %+v", got, want)
	}
	var names []string
	for _, r := range rep.Rows {
		names = append(names, r.Name)
		checkRow(t, r)
	}
	for _, want := range []string{
		"respond", "stock", "stock-idle", "modules", "handler", "handler-many", "handler-weighted",
		"stock-response", "handler-response", "stock-post", "handler-post", "stock-sse", "handler-sse",
		"cold", "cold-one-core", "cold-alone", "warm-alone",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("got no row %s, want it; there are %q", want, names)
		}
	}
	checkAllocations(t, rep.Rows)
	for _, file := range []string{"handler.cpu.prof", "handler.allocs.prof"} {
		if text, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
			t.Errorf("%s: got %d bytes, %v; want a compressed profile", file, len(text), err)
		}
	}
}

// maxAllocs is how many allocations a request the router may add to Caddy's own,
// which respond has.
const maxAllocs = 60

// checkAllocations holds what can be counted, and is no matter of the machine's
// speed, to its budget.
func checkAllocations(t *testing.T, rows []rowResult) {
	t.Helper()
	allocs := make(map[string]float64)
	for _, r := range rows {
		allocs[r.Name] = r.Allocs
	}
	for _, name := range []string{"handler", "handler-many", "handler-weighted", "handler-response", "handler-post"} {
		if added := allocs[name] - allocs["respond"]; added > maxAllocs {
			t.Errorf("%s: got %.1f allocations a request more than the %.1f of respond, want at most %d", name, added, allocs["respond"], maxAllocs)
		}
	}
}

// checkRow looks for what is missing; how much it is may be anything.
func checkRow(t *testing.T, r rowResult) {
	t.Helper()
	caddy, linux := r.Name != "nginx" && r.Name != "haproxy", runtime.GOOS == "linux"
	for figure, missing := range map[string]bool{
		"requests":         r.Requests == 0,
		"requests/s":       r.Rate == 0,
		"p50":              r.P50 == 0,
		"p99":              r.P99 < r.P50,
		"CPU per request":  r.CPU == 0 && linux,
		"requests/s/core":  r.PerCore == 0 && linux,
		"peak memory":      r.Peak == 0 && linux,
		"allocations":      r.Allocs == 0 && caddy,
		"bytes":            r.Bytes == 0 && caddy,
		"ratio":            r.Ratio == 0 && r.Base != "" && linux,
		"one round":        len(r.Rounds) != 1,
		"what it is about": r.About == "",
	} {
		if missing {
			t.Errorf("%s: got no %s, want it: %+v", r.Name, figure, r)
		}
	}
	if r.Base == r.Name && linux && r.Ratio != 1 {
		t.Errorf("%s: got ratio %v to itself, want 1", r.Name, r.Ratio)
	}
	if r.Failures > 0 || r.Error != "" {
		t.Errorf("%s: got %d failures, %s; want none", r.Name, r.Failures, r.Error)
	}
	if strings.HasPrefix(r.Name, "cold") && r.Requests%20 != 0 {
		t.Errorf("%s: got %d requests, want all of 20 functions each time", r.Name, r.Requests)
	}
}

// One row's backend answers something else than the row wants.
func TestAFailedRequestIsReportedAndFailsTheRun(t *testing.T) {
	s, err := parse(quick(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	respond := func(w *world) caddyConfig {
		return caddyConfig{handlers: []object{{"handler": "static_response", "status_code": 503}}}
	}
	rows := []row{caddyRow("broken", "answers 503", "", respond, load(2, newRequest(http.MethodGet, "a", "/", nil, nil)))}
	var stdout, stderr bytes.Buffer
	if code := runRows(t.Context(), s, rows, &stdout, &stderr); code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	for _, want := range []string{"FAILED: broken: ", "got status 503, want 200"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("got this table, want %q in it:\n%s\n%s", want, &stdout, &stderr)
		}
	}
}

func TestAProxyThatDoesNotStartFailsTheRun(t *testing.T) {
	s, err := parse(quick(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	config := func(w *world) caddyConfig { return caddyConfig{handlers: []object{{"handler": "nobody_knows_it"}}} }
	rows := []row{caddyRow("broken", "", "", config, load(1))}
	var stdout, stderr bytes.Buffer
	if code := runRows(t.Context(), s, rows, &stdout, &stderr); code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	if want := "nobody_knows_it"; !strings.Contains(stderr.String(), want) {
		t.Errorf("got %s, want what Caddy has said, with %q", &stderr, want)
	}
}

func TestAnInterruptedRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	var stdout, stderr bytes.Buffer
	if code := run(ctx, quick("-rows", "^respond$"), &stdout, &stderr); code != 1 || stdout.Len() > 0 {
		t.Errorf("got exit code %d and %q, want 1 and nothing", code, &stdout)
	}
}

func TestRowsAreSelectedWithTheirBase(t *testing.T) {
	for _, test := range []struct {
		flags []string
		want  string // row names, or part of the error
	}{
		{[]string{"-rows", "^handler$"}, "stock handler"},
		{[]string{"-rows", "^handler-sse$"}, "stock-sse handler-sse"},
		{[]string{"-rows", "^cold$"}, "cold"},
		{[]string{"-rows", "^stock$", "-cpuprofile", "handler-post"}, "stock stock-post handler-post"},
		{[]string{"-rows", "^nothing$"}, "no row has such a name; there are respond, stock,"},
		{[]string{"-cpuprofile", "nothing"}, "there is no such row; there are respond, stock,"},
		{[]string{"-rows", "("}, "missing closing"},
		{[]string{"-rounds", "0"}, "-rounds 0: want at least 1"},
		{[]string{"-connections", "-1"}, "-connections -1: want at least 1"},
		{[]string{"-duration", "0s"}, "-duration 0s: want more than 0"},
		{[]string{"handler"}, `unexpected argument "handler"`},
	} {
		s, err := parse(test.flags, new(bytes.Buffer))
		var rows []row
		if err == nil {
			rows, err = selectRows(allRows(s), s)
		}
		var names []string
		for _, r := range rows {
			names = append(names, r.name)
		}
		if got := strings.Join(names, " "); err == nil && got != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got rows %q, error %v; want %q", test.flags, got, err, test.want)
		}
	}
}

func TestWrongFlagsAreExitCode2(t *testing.T) {
	for _, flags := range [][]string{{"-rounds", "0"}, {"-no-such-flag"}, {"-rows", "nothing"}} {
		if code := run(t.Context(), flags, new(bytes.Buffer), new(bytes.Buffer)); code != 2 {
			t.Errorf("%q: got exit code %d, want 2", flags, code)
		}
	}
}

func TestPercentileAndMedian(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, test := range []struct {
		values []time.Duration
		p      int
		want   time.Duration
	}{
		{nil, 50, 0}, {hundred[:1], 99, 1}, {hundred[:2], 50, 1}, {hundred[:3], 50, 2},
		{hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100},
	} {
		if got := percentile(test.values, test.p); got != test.want {
			t.Errorf("percentile %d of %d values: got %d, want %d", test.p, len(test.values), got, test.want)
		}
	}
	for want, values := range map[float64][]float64{0: nil, 3: {3}, 2.5: {4, 1, 2, 3}, 2: {9, 1, 2}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: got %v, want %v", values, got, want)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	rep := newReport(settings{}, []row{{name: "stock", base: "stock"}, {name: "handler", base: "stock"}, {name: "cold"}})
	for _, round := range [][3]time.Duration{{100, 50, 7}, {400, 240, 7}, {100, 90, 7}} {
		for i, cpu := range round {
			rep.Rows[i].add(sample{tally: tally{requests: 1, elapsed: 1}, usage: usage{cpu: cpu * time.Microsecond}}, nil)
		}
		rep.compare()
	}
	rep.summarize()
	for i, want := range []figures{{CPU: 100, Ratio: 1}, {CPU: 90, Ratio: 0.6}, {CPU: 7}} {
		if r := rep.Rows[i]; r.CPU != want.CPU || r.Ratio != want.Ratio {
			t.Errorf("%s: got CPU %v and ratio %v, want %v and %v", r.Name, r.CPU, r.Ratio, want.CPU, want.Ratio)
		}
	}
	var table strings.Builder
	if err := rep.writeTable(&table); err != nil || !strings.Contains(table.String(), "0.60") || !strings.Contains(table.String(), "ratio to stock") {
		t.Errorf("got %v and this table, want the ratio 0.60 to stock in it:\n%s", err, &table)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var said tail
	for i := range 10_000 {
		if n, err := said.Write([]byte(strconv.Itoa(i) + "\n")); err != nil || n < 2 {
			t.Fatalf("got %d, %v; want all to be taken", n, err)
		}
	}
	if got := said.String(); len(got) > maxTail || !strings.HasSuffix(got, "\n9998\n9999\n") {
		t.Errorf("got %d bytes that end in %q, want at most %d with the end", len(got), got[max(0, len(got)-12):], maxTail)
	}
}
