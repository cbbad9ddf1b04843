package main

import (
	"context"
	"strings"
	"time"
)

// turn is about how long a row is under load until the next of its group is:
// short against what else disturbs a machine, so that it falls on all of them
// alike, and so short that hardly a connection to a function is left idle for so
// long that it ends.
const turn = 250 * time.Millisecond

// group is a range of rows that are compared with the same one.
type group struct{ from, to int }

// groups divides the rows into those that take turns. A row that is compared
// with none is alone.
func groups(rows []row) []group {
	var all []group
	for i, r := range rows {
		if i > 0 && r.base != "" && r.base == rows[i-1].base {
			all[len(all)-1].to = i + 1
		} else {
			all = append(all, group{i, i + 1})
		}
	}
	return all
}

func names(rows []row) string {
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r.name
	}
	return strings.Join(list, ", ")
}

// result is what a row came to in a round, and what kept it from being
// measured.
type result struct {
	sample sample
	err    error
	driver driver // nil once it failed
}

func (r *result) failed() bool { return r.err != nil || r.sample.failures > 0 }

// drive adds a turn. After a failure there is no other.
func (r *result) drive(d time.Duration) {
	if r.driver == nil {
		return
	}
	var s sample
	s, r.err = r.driver.drive(d)
	if r.sample.join(s); r.failed() {
		r.end()
	}
}

func (r *result) end() {
	if r.driver != nil {
		r.driver.close()
		r.driver = nil
	}
}

// takeTurns measures the rows of one group, each as long as the settings say, a
// turn at a time. The connections stay. The turns before the first do not count.
func (w *world) takeTurns(ctx context.Context, rows []row) ([]result, error) {
	results := make([]result, len(rows))
	defer func() {
		for i := range results {
			results[i].end()
		}
	}()
	for i, r := range rows {
		res := &results[i]
		lasting := 2 * w.duration * time.Duration(len(rows))
		if res.driver, res.err = r.attach(w, w.proxies[r.name], lasting); res.err != nil {
			continue
		}
		if res.drive(min(w.duration/8, time.Second)); !res.failed() {
			res.sample = sample{}
		}
	}
	turns := 1
	if len(rows) > 1 {
		turns = max(1, int(w.duration/turn))
	}
	for range turns {
		for i := range results {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			results[i].drive(w.duration / time.Duration(turns))
		}
	}
	return results, ctx.Err()
}
