package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the outcome of a run, and the JSON of it.
type report struct {
	Machine  machine     `json:"machine"`
	Settings shown       `json:"settings"`
	Rows     []rowResult `json:"rows"`
}

// machine is where it ran.
type machine struct {
	OS   string    `json:"os"`
	Arch string    `json:"arch"`
	CPUs int       `json:"cpus"`
	Go   string    `json:"go"`
	Time time.Time `json:"time"`
}

// shown are the settings that change the figures.
type shown struct {
	Rounds      int     `json:"rounds"`
	Duration    float64 `json:"duration_seconds"`
	Connections int     `json:"connections"`
	Triggers    int     `json:"triggers"`
	Functions   int     `json:"functions"`
}

// rowResult is one row: the medians, and what they are the medians of.
type rowResult struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Base  string `json:"base,omitempty"` // what the ratio is to
	figures
	PerCore  float64   `json:"requests_per_core_second,omitempty"` // what one processor would carry: a second by CPU
	Peak     int64     `json:"peak_bytes,omitempty"`               // memory, resident
	Requests int       `json:"requests"`
	Failures int       `json:"failures"`
	Error    string    `json:"error,omitempty"` // the first failure
	Rounds   []figures `json:"rounds"`
}

func newReport(s settings, rows []row) *report {
	rep := &report{
		Machine: machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), time.Now().UTC().Truncate(time.Second)},
		Settings: shown{
			Rounds: s.rounds, Duration: s.duration.Seconds(), Connections: s.connections, Triggers: s.triggers, Functions: s.functions,
		},
	}
	for _, r := range rows {
		rep.Rows = append(rep.Rows, rowResult{Name: r.name, About: r.about, Base: r.base})
	}
	return rep
}

// add takes in a round; err is what kept it from being measured.
func (r *rowResult) add(s sample, err error) {
	r.Requests += s.requests
	r.Rounds = append(r.Rounds, s.figures())
	if s.failures > 0 {
		r.Failures += s.failures - 1
		r.fail(s.err)
	}
	if err != nil {
		r.fail(err)
	}
}

func (r *rowResult) fail(err error) {
	r.Failures++
	if r.Error == "" {
		r.Error = err.Error()
	}
}

// compare gives the last round its ratios.
func (rep *report) compare() {
	bases := make(map[string]float64)
	for _, r := range rep.Rows {
		bases[r.Name] = r.Rounds[len(r.Rounds)-1].CPU
	}
	for _, r := range rep.Rows {
		if base := bases[r.Base]; base > 0 {
			last := &r.Rounds[len(r.Rounds)-1]
			last.Ratio = last.CPU / base
		}
	}
}

// summarize takes the medians.
func (rep *report) summarize() {
	for i := range rep.Rows {
		r := &rep.Rows[i]
		r.figures = medians(r.Rounds)
		if r.CPU > 0 {
			r.PerCore = 1e6 / r.CPU
		}
	}
}

// failed reports whether anything went wrong.
func (rep *report) failed() bool {
	for _, r := range rep.Rows {
		if r.Failures > 0 || r.Requests == 0 {
			return true
		}
	}
	return false
}

func (rep *report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	return enc.Encode(rep)
}

// writeTable prints the medians, what the rows are, and what went wrong.
func (rep *report) writeTable(w io.Writer) error {
	m, s := rep.Machine, rep.Settings
	fmt.Fprintf(w, "%s/%s, %d processors, %s; %d connections; medians of %d rounds of %gs\n\n",
		m.OS, m.Arch, m.CPUs, m.Go, s.Connections, s.Rounds, s.Duration)
	if err := rep.writeFigures(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := rep.writeLegend(w); err != nil {
		return err
	}
	for _, r := range rep.Rows {
		if r.Failures > 0 {
			fmt.Fprintf(w, "\nFAILED: %s: %d failures, the first: %s\n", r.Name, r.Failures, r.Error)
		}
	}
	return nil
}

func (rep *report) writeFigures(w io.Writer) error {
	width := 0
	for _, r := range rep.Rows {
		width = max(width, len(r.Name))
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, cells ...string) {
		fmt.Fprintf(columns, "%-*s\t%s\t\n", width, name, strings.Join(cells, "\t"))
	}
	line("row", "CPU µs/req", "ratio", "req/s", "req/s/core", "p50 µs", "p99 µs", "allocs/req", "B/req", "peak MiB", "failed")
	for _, r := range rep.Rows {
		line(r.Name,
			known(r.CPU, 1), known(r.Ratio, 2), known(r.Rate, 0), known(r.PerCore, 0), known(r.P50, 0), known(r.P99, 0),
			known(r.Allocs, 1), known(r.Bytes, 0), known(float64(r.Peak)/(1<<20), 0), strconv.Itoa(r.Failures))
	}
	return columns.Flush()
}

func (rep *report) writeLegend(w io.Writer) error {
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rep.Rows {
		base := "ratio to " + r.Base
		if r.Base == "" || r.Base == r.Name {
			base = ""
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\n", r.Name, r.About, base)
	}
	return columns.Flush()
}

// known writes a figure, and a dash for one that nobody knows.
func known(v float64, decimals int) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.*f", decimals, v)
}
