//go:build unix

package caddytest

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// functionsRun is a `caddy kubefaas run` and what it prints.
type functionsRun struct {
	*process
	port     int
	out, err *logBuffer
}

// kubefaasRun starts the command as a terminal would: in a process group of
// its own.
func kubefaasRun(t *testing.T, args ...string) *functionsRun {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	r := &functionsRun{port: port, out: newLogBuffer(), err: newLogBuffer()}
	cmd := reexec(t, roleCaddy, slices.Concat([]string{"kubefaas", "run", "--listen", fmt.Sprintf("127.0.0.1:%d", port)}, args)...)
	cmd.Stdout, cmd.Stderr = r.out, r.err
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if r.process, err = startChild(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("standard output:\n%s\nstandard error:\n%s", indentLog(r.out.tail(60)), indentLog(r.err.tail(60)))
		}
	})
	return r
}

// caddy is what makes requests to it.
func (r *functionsRun) caddy() *Caddy { return &Caddy{in: instance{httpPort: r.port}} }

// shows waits for a line that matches, and returns it.
func (r *functionsRun) shows(t *testing.T, in *logBuffer, pattern string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	Eventually(t, patience, func() bool {
		lines, _, _ := in.since(0)
		return slices.ContainsFunc(lines, want.MatchString)
	}, func() string { return fmt.Sprintf("got no line like %q in\n%s", pattern, indentLog(in.tail(60))) })
}

// ended waits for the end.
func (r *functionsRun) ended(t *testing.T) int {
	t.Helper()
	Eventually(t, patience, func() bool {
		select {
		case <-r.done:
			return true
		default:
			return false
		}
	}, func() string { return "it runs on" })
	return r.cmd.ProcessState.ExitCode()
}

// line is a program's line in the command's way of writing.
func (p *programs) line(name, args string) string {
	return fmt.Sprintf("%s=env MARKS=%s '%s' %s", name, p.marks, p.path, args)
}

func TestKubefaasRunShowsWhatBecomesOfPrograms(t *testing.T) {
	p := newPrograms(t)
	r := kubefaasRun(t, "--function", p.line("hello", `serve "two words"`), "--function", p.line("bad", "exit"))
	c := r.caddy()
	url := fmt.Sprintf("http://127.0.0.1:%d", r.port)
	r.shows(t, r.out, "^hello: "+url+"/hello/$")
	r.shows(t, r.out, "^bad: "+url+"/bad/$")

	pid := c.number(t, "/hello/some/path")
	r.shows(t, r.out, fmt.Sprintf(`hello +start +pid %d$`, pid))
	r.shows(t, r.out, fmt.Sprintf(`hello +ready +pid %d +after \S+ +%s/hello/$`, pid, url))
	if got, want := c.text(t, "/hello/args"), `["serve" "two words"]`; got != want {
		t.Errorf("got the arguments %s, want %s", got, want)
	}
	c.text(t, "/hello/say?what=something+memorable")
	r.shows(t, r.err, `\tsomething memorable\t.*default/hello`)

	c.once(t, "GET", "/bad/", "", "").wantProblem(t, 502, "executor_error")
	r.shows(t, r.out, `bad +crash +pid \d+ +after \S+ +exit status 3, before it was ready$`)
	r.shows(t, r.err, "last words 25")
	kill(t, pid)
	r.shows(t, r.out, fmt.Sprintf(`hello +crash +pid %d +after \S+ +signal: killed$`, pid))
	c.once(t, "GET", "/elsewhere", "", "").wantProblem(t, 404, "no_route")
	if next := c.number(t, "/hello/"); next == pid {
		t.Errorf("got an answer of pid %d, which was killed", pid)
	}
}

// ^C on a terminal reaches the whole process group.
func TestKubefaasRunEndsWithAllPrograms(t *testing.T) {
	p := newPrograms(t)
	r := kubefaasRun(t, "-f", p.line("hello", "serve"), "-f", p.line("family", "family"))
	r.shows(t, r.out, "^family: ")
	c := r.caddy()
	pid := c.number(t, "/hello/")
	c.text(t, "/family/")
	p.awaitLeft(t, 3)
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := r.ended(t); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	r.shows(t, r.out, fmt.Sprintf(`hello +stop +pid %d$`, pid))
	p.awaitLeft(t, 0)
}

// Who is in a hurry says so twice; the program ignores SIGTERM for its whole
// stop_timeout.
func TestKubefaasRunEndsAtOnceWithMoreInterrupts(t *testing.T) {
	p := newPrograms(t)
	r := kubefaasRun(t, "-f", p.line("hello", "stubborn"))
	r.shows(t, r.out, "^hello: ")
	r.caddy().text(t, "/hello/")
	stop := time.AfterFunc(patience, r.kill)
	defer stop.Stop()
	for over := false; !over; {
		_ = r.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-r.done:
			over = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	if code := r.cmd.ProcessState.ExitCode(); code <= 0 {
		t.Errorf("got exit code %d, want that of an end that was forced", code)
	}
	p.awaitLeft(t, 0)
}

func TestKubefaasRunRefusesWhatItCannotDo(t *testing.T) {
	taken := NewFunction(t)
	for what, tt := range map[string]struct {
		args []string
		want string
	}{
		"no function":              {nil, "no function"},
		"a name that is none":      {[]string{"--function", "a/b=serve"}, "may not be in a name"},
		"no program":               {[]string{"--function", "hello="}, "names no program"},
		"a shell's work":           {[]string{"--function", "hello=a | b"}, "has to be quoted"},
		"no address":               {[]string{"--function", "hello=serve", "--listen", "nonsense"}, "[<host>]:<port>"},
		"an address that is taken": {[]string{"--function", "hello=serve", "--listen", taken.Addr()}, "address already in use"},
		"an unknown flag":          {[]string{"--functions", "hello=serve"}, "unknown flag"},
	} {
		t.Run(what, func(t *testing.T) {
			_, stderr, code := CLI(t, append([]string{"kubefaas", "run"}, tt.args...)...)
			if code == 0 || !strings.Contains(stderr, tt.want) {
				t.Errorf("got exit code %d and %q, want another than 0 and %q", code, stderr, tt.want)
			}
		})
	}
}

// The guard is this very program, whatever its main function is.
func TestAnyProgramWithThePluginIsAGuard(t *testing.T) {
	victim := exec.Command("sleep", "60")
	victim.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill() }()
	guard := reexec(t, "", "kubefaas-guard")
	in, err := guard.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = guard.Process.Kill() }()
	fmt.Fprintf(in, "+%d\n", victim.Process.Pid)
	_ = in.Close()
	if err := guard.Wait(); err != nil {
		t.Errorf("the guard ended with %v, want no error", err)
	}
	if err := victim.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("what it guarded ended with %v, want signal: killed", err)
	}
}
