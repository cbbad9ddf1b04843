//go:build unix

package caddytest

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a program can do wrong, what a client and the log are told of it, and
// that the next configuration mends it at once.
func TestProgramsThatAreBad(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, tt := range map[string]struct {
		command string // "PROGRAM" is the test's
		status  int
		reason  string
		detail  []string // in the answer
		log     []string // in the log's entry
	}{
		"a command that does not exist": {"/no/such/program", http.StatusBadGateway, "executor_error",
			[]string{"/no/such/program: no such file or directory"}, []string{"no such file or directory"}},
		"a command that is not in PATH": {"no-such-program", http.StatusBadGateway, "executor_error",
			[]string{"executable file not found in $PATH"}, []string{"executable file not found"}},
		"a command that is not executable": {plain, http.StatusBadGateway, "executor_error",
			[]string{"permission denied"}, []string{"permission denied"}},
		"a command that exits at once": {"PROGRAM exit", http.StatusBadGateway, "executor_error",
			[]string{"exit status 3", `last words 6\n`, "last words 25"}, []string{"exit status 3", `"last words 6"`, `"last words 25"`}},
		"a command that never listens": {"PROGRAM hang", http.StatusGatewayTimeout, "cold_start_timeout",
			[]string{"not ready in time", "1.5s"}, []string{"not ready in time", "connection refused"}},
		"a command that listens elsewhere": {"PROGRAM elsewhere", http.StatusGatewayTimeout, "cold_start_timeout",
			[]string{"not ready in time"}, []string{"not ready in time"}},
	} {
		t.Run(what, func(t *testing.T) {
			p := newPrograms(t)
			bad := p.function("hello", "serve", "start_timeout 1500ms")
			bad = strings.Replace(bad, p.path+" serve", strings.Replace(tt.command, "PROGRAM", p.path, 1), 1)
			c := Start(t, programConfig(bad))
			r := c.once(t, http.MethodGet, "/hello/", "", "")
			r.wantProblem(t, tt.status, tt.reason, tt.detail...)
			if strings.Contains(r.body, "last words 5\\n") {
				t.Errorf("got the body %s, want the last 20 lines only", r.body)
			}
			entry := c.WaitLog(t, `"logger":"kubefaas.process","msg":"function did not start"`, patience).Raw
			for _, want := range tt.log {
				if !strings.Contains(entry, want) {
					t.Errorf("got the log entry %s, want %q in it", entry, want)
				}
			}
			p.awaitLeft(t, 0)
			if err := c.Reload(t, programConfig(p.function("hello", "serve"))); err != nil {
				t.Fatal(err)
			}
			if pid := c.number(t, "/hello/"); isGone(pid) {
				t.Errorf("pid %d is gone, want it to run", pid)
			}
		})
	}
}

// A program that dies again and again is not started in a hot loop, and those
// who call it meanwhile are told why at once.
func TestProgramsThatDieAreNotRestartedInAHotLoop(t *testing.T) {
	const calls = 200
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "exit")))
	for range calls {
		c.once(t, http.MethodGet, "/hello/", "", "").wantProblem(t, http.StatusBadGateway, "executor_error", "exit status 3")
	}
	if got := len(p.started(t)); got > calls/4 {
		t.Errorf("got %d starts for %d calls, want a few", got, calls)
	} else {
		t.Logf("%d starts for %d calls", got, calls)
	}
}

// A program without a request but with a least number of instances, too.
func TestProgramsThatHaveToRunAreNotRestartedInAHotLoop(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "exit", "instances 1 1")))
	c.WaitLog(t, "exit status 3", patience)
	Eventually(t, patience, func() bool { return len(p.started(t)) >= 3 }, func() string { return "got no third start" })
	if err := c.Reload(t, programConfig(p.function("hello", "serve", "instances 1 1"))); err != nil {
		t.Fatal(err)
	}
	if pid := c.number(t, "/hello/"); isGone(pid) {
		t.Errorf("pid %d is gone, want it to run", pid)
	}
}

func TestProgramsThatIgnoreSIGTERMAreKilled(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "stubborn", "stop_timeout 200ms")))
	pid := c.number(t, "/hello/")
	if err := c.Reload(t, programConfig(p.function("other", "serve"))); err != nil {
		t.Fatal(err)
	}
	entry := c.WaitLog(t, "function did not stop by itself and was killed", patience)
	if !strings.Contains(entry.Raw, "signal: killed") {
		t.Errorf("got the log entry %s, want how it ended", entry.Raw)
	}
	if !isGone(pid) {
		t.Errorf("pid %d is there, want it killed", pid)
	}
	c.once(t, http.MethodGet, "/hello/", "", "").wantProblem(t, http.StatusNotFound, "no_route")
}
