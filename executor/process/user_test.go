//go:build unix

package process

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// TestUser runs a program as somebody else where that can be done, and sees
// it refused where it cannot.
func TestUser(t *testing.T) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatalf("this test needs the user nobody: %v", err)
	}
	w := newWorld(t, Options{})
	s := program("user", "serve")
	s.Command = []string{forAll(t)}
	s.User = nobody.Username
	if os.Geteuid() != 0 {
		err := startError[*StartError](w, w.executor(s), "user")
		if !strings.Contains(err.Error(), "needs root") {
			t.Errorf("Addresses: %v; want it to say that this needs root", err)
		}
		return
	}
	addr := w.address(w.executor(s), "user")
	want := fmt.Sprintf("%s %s []", nobody.Uid, nobody.Gid)
	if got := get(t, addr, "/id"); got != want {
		t.Errorf("user, group and groups are %q; want %q", got, want)
	}
	if env := get(t, addr, "/env"); !strings.Contains(env+"\n", "HOME="+nobody.HomeDir+"\n") {
		t.Errorf("environment is %q; want the user's HOME %s", env, nobody.HomeDir)
	}
}

func TestAnUnknownUserIsRefusedByRoot(t *testing.T) {
	s := aSpec()
	s.User = "no-such-user"
	if err := s.Validate(); (err != nil) != (os.Geteuid() == 0) {
		t.Errorf("Validate = %v; want an error for root only", err)
	}
}

// forAll copies this binary to where everybody may run it.
func forAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "process-test") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, _ := os.Executable()
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(dir, "prog")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
