// Command testlog reads what `go test -json` writes and prints what `go test`
// would: a line per package, and all that a failed test has said. It also
// prints what tests have left out, and fails if one was skipped without being
// in ALLOWED_SKIPS.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// event is a line of `go test -json` (see `go doc test2json`).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

// log is what has come so far.
type log struct {
	output  map[string][]string // of each test, until it has passed
	passed  int
	failed  []string
	skipped []string
}

func main() {
	l := log{output: make(map[string][]string)}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.read(line)
		}
		if err != nil {
			break
		}
	}
	fmt.Printf("%d tests passed, %d failed, %d skipped\n", l.passed, len(l.failed), len(l.skipped))
	allowed := strings.Split(os.Getenv("ALLOWED_SKIPS"), "\n")
	bad := slices.DeleteFunc(l.skipped, func(test string) bool { return slices.Contains(allowed, test) })
	for _, test := range bad {
		fmt.Println("SKIPPED, and may not be:", test)
	}
	if len(bad) > 0 || len(l.failed) > 0 || l.passed == 0 {
		os.Exit(1)
	}
}

func (l *log) read(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		fmt.Print(line) // of the go command itself
		return
	}
	id := e.Package + " " + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Print(e.Output)
	case e.Action == "output" && e.Test == "":
		if e.Output != "PASS\n" {
			fmt.Print(e.Output)
		}
	case e.Action == "output":
		l.output[id] = append(l.output[id], e.Output)
		if strings.Contains(e.Output, "LEFT OUT") {
			fmt.Print(e.Output)
		}
	case e.Test == "":
		if e.Action == "fail" {
			l.fail(id)
		}
	case e.Action == "pass":
		l.passed++
		delete(l.output, id)
	case e.Action == "skip":
		l.skipped = append(l.skipped, id)
	case e.Action == "fail":
		l.fail(id)
	}
}

// fail prints what the test has said. A package that fails may have died in
// the middle of a test, which then says nothing of its end.
func (l *log) fail(id string) {
	l.failed = append(l.failed, id)
	for test, output := range l.output {
		if test == id || strings.HasSuffix(id, " ") && strings.HasPrefix(test, id) && !slices.Contains(l.failed, test) {
			fmt.Printf("=== output of %s\n%s", test, strings.Join(output, ""))
		}
	}
}
