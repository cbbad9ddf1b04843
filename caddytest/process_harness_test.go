//go:build unix

package caddytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// buildProgram compiles testdata/program, once for all tests.
var buildProgram = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "caddytest-program")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "program")
	if out, err := exec.Command("go", "build", "-o", path, "testdata/program/main.go").CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling testdata/program: %w\n%s", err, out)
	}
	return path, nil
})

// programs are a test's local functions, and what is left of them.
type programs struct {
	path    string // of the program
	marks   string // a folder with a file for each process that was started
	journal string // the IDs of the requests that any of them began
}

// newPrograms fails the test if any process that it started is there at its
// end, after that of Caddy.
func newPrograms(t *testing.T) *programs {
	t.Helper()
	setHome(t)
	path, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	p := &programs{path: path, marks: t.TempDir(), journal: filepath.Join(t.TempDir(), "journal")}
	t.Cleanup(func() { p.awaitLeft(t, 0) })
	return p
}

// function is the block of one function, with more lines of it. The role is
// what the program's arguments begin with.
func (p *programs) function(name, role string, lines ...string) string {
	return fmt.Sprintf("function %s {\n\tcommand %s %s\n\tenv MARKS %s\n\tenv JOURNAL %s\n\t%s\n}\n",
		name, p.path, role, p.marks, p.journal, strings.Join(lines, "\n\t"))
}

// programConfig routes /<name>/* to each function; what is not a function's
// block is a line of the app's.
func programConfig(blocks ...string) Config {
	var app, functions, triggers strings.Builder
	for _, block := range blocks {
		fields := strings.Fields(block)
		if fields[0] != "function" || !strings.Contains(block, "command ") {
			app.WriteString(block + "\n")
			continue
		}
		functions.WriteString(block)
		fmt.Fprintf(&triggers, "trigger /%s/* %s\n", fields[1], fields[1])
	}
	return Caddyfile(fmt.Sprintf("{\nkubefaas {\nexecutor process {\n%s}\n%s}\n}\nhttp://:{{.HTTP}} {\nkubefaas {\ndebug\n%s}\n}\n",
		functions.String(), app.String(), triggers.String()))
}

// started are the processes that were ever there, in no order.
func (p *programs) started(t *testing.T) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir(p.marks)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// left are those that are there still, zombies included, as long as the
// process that has to reap them is.
func (p *programs) left(t *testing.T) []int {
	t.Helper()
	return slices.DeleteFunc(p.started(t), isGone)
}

// awaitLeft waits until n processes are there.
func (p *programs) awaitLeft(t *testing.T, n int) (pids []int) {
	t.Helper()
	Eventually(t, patience, func() bool {
		pids = p.left(t)
		return len(pids) == n
	}, func() string { return fmt.Sprintf("got the processes %v, want %d", pids, n) })
	return pids
}

// executed counts how often each request was begun.
func (p *programs) executed(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(p.journal)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]int)
	for id := range strings.Lines(string(text)) {
		ids[strings.TrimSpace(id)]++
	}
	return ids
}

// isGone says whether a process is no more. A zombie whose parent was killed
// is: who inherited it reaps it when it likes.
func isGone(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return os.IsNotExist(err) && syscall.Kill(pid, 0) == syscall.ESRCH
	}
	_, fields, _ := bytes.Cut(stat, []byte(") "))
	state, parent := "", 0
	_, _ = fmt.Sscan(string(fields), &state, &parent)
	return state == "Z" && parent == 1
}

// text is the body of a function's answer 200.
func (c *Caddy) text(t *testing.T, path string) string {
	t.Helper()
	r, err := c.get(path)
	if err == nil {
		err = r.wantOK()
	}
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return r.body
}

// get makes a request on a connection of its own; on another, if that was
// closed before an answer began: right after a reload Caddy closes its old
// listener with what nobody has accepted there, whatever it serves.
func (c *Caddy) get(path string) (r reply, err error) {
	for range 5 {
		if r, err = c.try(http.MethodGet, path, ""); !isClosed(err) {
			break
		}
	}
	return r, err
}

// try makes a request on a connection of its own.
func (c *Caddy) try(method, path, id string) (reply, error) {
	w, err := dialWire(c.Addr())
	if err != nil {
		return reply{}, err
	}
	defer w.close()
	return w.do(method, path, id, "")
}

// isClosed says whether a connection was closed from the other end, before an
// answer.
func isClosed(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// number is such a body that is a number, as a process's ID.
func (c *Caddy) number(t *testing.T, path string) int {
	t.Helper()
	n, err := strconv.Atoi(c.text(t, path))
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return n
}

// wantProblem wants a failure of the router's own, in its words.
func (r reply) wantProblem(t *testing.T, status int, reason string, detail ...string) {
	t.Helper()
	if r.status != status || r.reason() != reason || r.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got status %d, reason %q, type %q; want %d, %q and a problem: %s",
			r.status, r.reason(), r.header.Get("Content-Type"), status, reason, r.body)
	}
	for _, want := range detail {
		if !strings.Contains(r.body, want) {
			t.Errorf("got the body %s; want %q in it", r.body, want)
		}
	}
}
