package process

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestChildrenDieWithTheirParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVar+"=parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	addr = strings.TrimSpace(addr)
	if err != nil || closed(addr) {
		t.Fatalf("the parent says its function is at %q (%v); want it to listen there", addr, err)
	}
	// While its parent lives it lives, whatever threads end.
	time.Sleep(200 * time.Millisecond)
	if closed(addr) {
		t.Fatal("the function died with its parent alive")
	}
	cmd.Process.Kill()
	cmd.Wait()
	for end := time.Now().Add(patience); !closed(addr); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the function outlives its parent")
		}
	}
}
