// Command bench measures what a request costs the router, beside what it costs
// Caddy's own reverse_proxy in the same run.
//
//	go run ./bench                        # all rows, a table; about five minutes
//	go run ./bench -json                  # the same as JSON
//	go run ./bench -rows '^handler$'      # one row, and the one it is compared with
//	go run ./bench -rows '^handler$' -cpuprofile handler    # and handler.cpu.prof, handler.allocs.prof
//
// Nothing has to be installed. Each proxy is a process of its own, so that its
// processor time can be read from the operating system: this program again, as
// Caddy with its standard modules and this plugin. The backend is another
// process; the load, and the executor that is asked for addresses, are here.
// nginx and HAProxy get rows if they are on the PATH.
//
// Rows that are compared with the same one take turns of a quarter of a second
// within each round, and the median of the rounds is printed, so that what else
// the machine does falls on all of them alike. A ratio is that of processor time
// per request to the row it is compared with, of the same round. Any response
// that is not the expected one is a failure; with one, the exit code is 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	rounds      int
	duration    time.Duration // of a row in a round
	connections int
	triggers    int // of the row with many
	functions   int // of the rows with cold starts
	rows        *regexp.Regexp
	json        bool
	profile     string // name of the row
}

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		os.Exit(play(role))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program without its process. It returns the exit code: 2 if the
// flags are wrong, and else that of runRows.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	rows, err := selectRows(allRows(s), s)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	return runRows(ctx, s, rows, stdout, stderr)
}

// runRows measures and reports. It returns the exit code: 1 if a request or
// anything else failed.
func runRows(ctx context.Context, s settings, rows []row, stdout, stderr io.Writer) int {
	report, err := measureAll(ctx, s, rows, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	if s.json {
		err = report.writeJSON(stdout)
	} else {
		err = report.writeTable(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench: writing the report:", err)
		return 1
	}
	if report.failed() {
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	var rows string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&s.rounds, "rounds", 3, "how often each row is measured; the medians are printed")
	flags.DurationVar(&s.duration, "duration", 4*time.Second, "how long a row is measured in a round")
	flags.IntVar(&s.connections, "connections", 64, "how many clients send requests at once, each on a connection of its own")
	flags.IntVar(&s.triggers, "triggers", 100_000, "how many triggers the row handler-many has")
	flags.IntVar(&s.functions, "functions", 1000, "how many functions the cold rows have")
	flags.StringVar(&rows, "rows", "", "measure only the rows whose names match this regular `expression`, and those they are compared with")
	flags.BoolVar(&s.json, "json", false, "print JSON")
	flags.StringVar(&s.profile, "cpuprofile", "", "profile the proxy of this `row` in a round of its own, after the others, into <row>.cpu.prof and <row>.allocs.prof")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for name, n := range map[string]int{
		"rounds": s.rounds, "connections": s.connections, "triggers": s.triggers, "functions": s.functions,
	} {
		if n < 1 {
			return s, fmt.Errorf("-%s %d: want at least 1", name, n)
		}
	}
	if s.duration <= 0 {
		return s, fmt.Errorf("-duration %v: want more than 0", s.duration)
	}
	var err error
	s.rows, err = regexp.Compile(rows)
	return s, err
}

// selectRows picks the rows that the flags ask for, in their order, with those
// that they are compared with.
func selectRows(all []row, s settings) ([]row, error) {
	var names []string
	wanted := make(map[string]bool)
	for _, r := range all {
		names = append(names, r.name)
		if s.rows.MatchString(r.name) || r.name == s.profile {
			wanted[r.name], wanted[r.base] = true, true
		}
	}
	switch {
	case s.profile != "" && !slices.Contains(names, s.profile):
		return nil, fmt.Errorf("-cpuprofile %s: there is no such row; there are %s", s.profile, strings.Join(names, ", "))
	case len(wanted) == 0:
		return nil, fmt.Errorf("-rows %s: no row has such a name; there are %s", s.rows, strings.Join(names, ", "))
	}
	return slices.DeleteFunc(all, func(r row) bool { return !wanted[r.name] }), nil
}
