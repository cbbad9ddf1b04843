package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// sample is what one row came to in one round.
type sample struct {
	tally
	usage
}

// join adds what followed in the same round.
func (s *sample) join(next sample) {
	s.usage = s.usage.plus(next.usage)
	s.add(next.tally)
	s.elapsed += next.elapsed
}

// figures of a round, or the medians of all. A figure that nobody knows is 0.
type figures struct {
	CPU    float64 `json:"cpu_us_per_request,omitempty"` // of the proxy's process, user and system, in µs
	Rate   float64 `json:"requests_per_second"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	Allocs float64 `json:"allocs_per_request,omitempty"`
	Bytes  float64 `json:"bytes_per_request,omitempty"` // allocated
	Ratio  float64 `json:"ratio,omitempty"`             // of CPU to that of the base row
}

// figures of a sample, but for the ratio.
func (s sample) figures() figures {
	if s.requests == 0 {
		return figures{}
	}
	slices.Sort(s.took)
	n := float64(s.requests)
	return figures{
		CPU:    micros(s.cpu) / n,
		Rate:   n / s.elapsed.Seconds(),
		P50:    micros(percentile(s.took, 50)),
		P99:    micros(percentile(s.took, 99)),
		Allocs: float64(s.allocated.Objects) / n,
		Bytes:  float64(s.allocated.Bytes) / n,
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// percentile is the value that p of a hundred do not exceed, of sorted values;
// 0 if there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// medians are taken figure by figure.
func medians(rounds []figures) figures {
	of := func(figure func(figures) float64) float64 {
		values := make([]float64, len(rounds))
		for i, r := range rounds {
			values[i] = figure(r)
		}
		return median(values)
	}
	return figures{
		CPU:    of(func(f figures) float64 { return f.CPU }),
		Rate:   of(func(f figures) float64 { return f.Rate }),
		P50:    of(func(f figures) float64 { return f.P50 }),
		P99:    of(func(f figures) float64 { return f.P99 }),
		Allocs: of(func(f figures) float64 { return f.Allocs }),
		Bytes:  of(func(f figures) float64 { return f.Bytes }),
		Ratio:  of(func(f figures) float64 { return f.Ratio }),
	}
}

// median is 0 if there are no values.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

// measureAll starts everything, measures the rows in each round, and ends
// everything. A row that fails does not stop the others.
func measureAll(ctx context.Context, s settings, rows []row, progress io.Writer) (*report, error) {
	w, err := newWorld(s, rows, progress)
	defer w.close()
	if err != nil {
		return nil, err
	}
	rep := newReport(s, rows)
	for round := range s.rounds {
		for _, group := range groups(rows) {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, s.rounds, names(rows[group.from:group.to]))
			results, err := w.takeTurns(ctx, rows[group.from:group.to])
			if err != nil {
				return nil, err
			}
			for i, res := range results {
				r := rows[group.from+i]
				rep.Rows[group.from+i].add(res.sample, res.err)
				if res.failed() {
					fmt.Fprintf(progress, "%s: %v\nIts proxy has said:\n%s\n", r.name, errors.Join(res.err, res.sample.err), w.proxies[r.name].said)
				}
			}
		}
		rep.compare()
	}
	for i, r := range rows {
		if rep.Rows[i].Peak, err = w.proxies[r.name].peak(); err != nil {
			rep.Rows[i].fail(err)
		}
	}
	rep.summarize()
	for _, r := range rows {
		if r.name == s.profile {
			err = w.profile(r)
		}
	}
	return rep, err
}
