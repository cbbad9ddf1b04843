//go:build unix

package caddytest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"
)

// Fifty functions are called at once, and none runs.
func TestFiftyProgramsStartAtOnce(t *testing.T) {
	const n = 50
	p := newPrograms(t)
	names := functionNames(n)
	var blocks []string
	for _, name := range names {
		blocks = append(blocks, p.function(name, "serve"))
	}
	c := Start(t, programConfig(blocks...))
	if got := p.started(t); len(got) != 0 {
		t.Errorf("got the processes %v before any call, want none", got)
	}
	wires := c.dialWires(t, n)
	rep := Load(t, n, n, func(_ context.Context, i int) error {
		return wires[i].ok(http.MethodGet, "/"+names[i]+"/", "", "")
	})
	rep.RequireNoErrors(t)
	t.Logf("%d cold starts at once: %v", n, rep)
	if got := len(p.started(t)); got != n {
		t.Errorf("got %d processes, want one for each of %d functions", got, n)
	}
}

func TestProgramsGetTheirEnvironmentAndNothingElse(t *testing.T) {
	t.Setenv("SECRET_OF_CADDY", "not for functions")
	t.Setenv("GIVEN", "by way of a placeholder")
	p := newPrograms(t)
	dir := t.TempDir()
	c := Start(t, programConfig(p.function("hello", `serve "two words" {env.GIVEN} ${PORT}`,
		"dir "+dir, "env KEY value", "env FROM {env.GIVEN}")))
	var names []string
	env := make(map[string]string)
	for v := range strings.SplitSeq(c.text(t, "/hello/env"), "\n") {
		key, value, _ := strings.Cut(v, "=")
		env[key] = value
		names = append(names, key)
	}
	slices.Sort(names)
	want := []string{"FROM", "HOME", "JOURNAL", "KEY", "KUBEFAAS_FUNCTION", "MARKS", "PATH", "PORT"}
	if !slices.Equal(names, want) {
		t.Errorf("got the variables %q, want %q", names, want)
	}
	for key, want := range map[string]string{
		"KUBEFAAS_FUNCTION": "default/hello", "KEY": "value", "FROM": "by way of a placeholder", "PATH": os.Getenv("PATH"),
	} {
		if env[key] != want {
			t.Errorf("got %s=%q, want %q", key, env[key], want)
		}
	}
	if got, want := c.text(t, "/hello/args"), `["serve" "two words" "by way of a placeholder" "${PORT}"]`; got != want {
		t.Errorf("got the arguments %s, want %s", got, want)
	}
	if got := c.text(t, "/hello/dir"); got != dir {
		t.Errorf("got the folder %s, want %s", got, dir)
	}
}

// As root, a program can be another user, without any of root's groups; as
// anybody else, the start is refused with its reason.
func TestProgramsRunAsAnotherUser(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatalf("this test needs the user nobody: %v", err)
	}
	p := newPrograms(t)
	c := Start(t, programConfig(fmt.Sprintf("function hello {\n\tcommand %s serve\n\tuser nobody\n}\n", p.path)))
	if os.Geteuid() != 0 {
		t.Log("not root: it is seen that the start is refused")
		c.once(t, http.MethodGet, "/hello/id", "", "").wantProblem(t, http.StatusBadGateway, "executor_error", "needs root")
		return
	}
	if got, want := c.text(t, "/hello/id"), fmt.Sprintf("%s %s []", nobody.Uid, nobody.Gid); got != want {
		t.Errorf("got user, group and groups %q, want %q", got, want)
	}
	if env := c.text(t, "/hello/env"); !strings.Contains(env+"\n", "HOME="+nobody.HomeDir+"\n") {
		t.Errorf("got the environment %q, want HOME=%s in it", env, nobody.HomeDir)
	}
}

// The program's first three answers to the probe are 503.
func TestProgramsAreAskedWhetherTheyAreReady(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "serve", "ready http /health")))
	if got := c.number(t, "/hello/asked"); got != 4 {
		t.Errorf("the program was probed %d times before its first request, want 4", got)
	}
}

// A cold start costs little beyond the program's own. The figures are printed;
// what they are depends on who else uses the machine.
func TestColdStartOfAProgram(t *testing.T) {
	p := newPrograms(t)
	var blocks []string
	names := functionNames(11)
	for _, name := range names {
		blocks = append(blocks, p.function(name, "serve"))
	}
	c := Start(t, programConfig(blocks...))
	var took []time.Duration
	for _, name := range names {
		began := time.Now()
		c.text(t, "/"+name+"/")
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from a request to its answer, the program's own start included: p50 %v, max %v", took[len(took)/2], took[len(took)-1])
}
