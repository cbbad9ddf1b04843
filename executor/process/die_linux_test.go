package process

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestChildrenDieWithTheirParent(t *testing.T) {
	addr, kill := startParent(t, "CHILD=serve")
	// While its parent lives it lives, whatever threads end.
	time.Sleep(200 * time.Millisecond)
	if closed(addr) {
		t.Fatal("the function died with its parent alive")
	}
	kill()
	awaitClosed(t, addr)
}

// startParent runs a program that runs a function, and returns where that is
// and how to kill the program without a word.
func startParent(t *testing.T, env ...string) (addr string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), roleVar+"=parent"), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	addr, err = bufio.NewReader(out).ReadString('\n')
	addr = strings.TrimSpace(addr)
	if err != nil || closed(addr) {
		t.Fatalf("the parent says its function is at %q (%v); want it to listen there", addr, err)
	}
	return addr, kill
}

func awaitClosed(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(patience); !closed(addr); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s still listens", addr)
		}
	}
}

func TestGrandchildrenDieWithAGuardedParent(t *testing.T) {
	addr, kill := startParent(t, "CHILD=family", "GUARDED=1")
	var grandchild string
	for end := time.Now().Add(patience); grandchild == ""; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the grandchild does not listen")
		}
		grandchild = get(t, addr, "/grandchild")
	}
	if closed(grandchild) {
		t.Fatalf("the grandchild does not listen at %s", grandchild)
	}
	kill()
	awaitClosed(t, addr)
	awaitClosed(t, grandchild)
}

func TestAGuardLeavesWhatWasForgottenAlone(t *testing.T) {
	spared, killed := again("holder"), again("holder")
	for _, cmd := range []*exec.Cmd{spared, killed} {
		detach(cmd) // makes it the leader of a group, too
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	var in bytes.Buffer
	g := guard{}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g.in = w
	g.tell('+', spared.Process.Pid)
	g.tell('+', killed.Process.Pid)
	g.tell('-', spared.Process.Pid)
	w.Close()
	in.ReadFrom(r)
	r.Close()
	in.WriteString("\n+\n-\nx5\n+-1\n+0\n+1\n+nonsense") // none of which is a group
	RunGuard(&in)
	if err := killed.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the group that was left ended with %v; want signal: killed", err)
	}
	if gone(spared.Process.Pid) {
		t.Error("the group that was forgotten is gone")
	}
	spared.Process.Kill()
	spared.Wait()
}

func TestCloseEndsTheGuard(t *testing.T) {
	self, _ := os.Executable()
	w := newWorld(t, Options{Guard: []string{"env", roleVar + "=guard", self}})
	e := w.executor(program("guarded", "serve"))
	w.address(e, "guarded")
	pid := w.rt.guard.cmd.Process.Pid
	if gone(pid) {
		t.Fatal("there is no guard")
	}
	w.close()
	if !gone(pid) {
		t.Errorf("the guard, pid %d, is there after Close", pid)
	}
}

func TestAGuardThatCannotStartStopsNothing(t *testing.T) {
	w := newWorld(t, Options{Guard: []string{"no-such-guard"}})
	w.address(w.executor(program("unguarded", "serve")), "unguarded")
	if w.logs.FilterMessageSnippet("there is no guard").Len() != 1 {
		t.Error("the log says nothing of it")
	}
}
