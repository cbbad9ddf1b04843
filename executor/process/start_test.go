//go:build unix

package process

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestOneStartServesAllWhoWait(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("hello", "serve", "DELAY", "50ms"))
	var wg sync.WaitGroup
	addrs := make([]string, 20)
	for n := range addrs {
		wg.Go(func() {
			got, err := e.Addresses(t.Context(), fn("hello"))
			if err != nil || len(got) != 1 {
				t.Errorf("Addresses = %v, %v; want one address", got, err)
				return
			}
			addrs[n] = got[0]
		})
	}
	wg.Wait()
	if got := slices.Compact(addrs); len(got) != 1 {
		t.Errorf("addresses are %v; want all the same", got)
	}
	if got := len(w.seen(EventStart)); got != 1 {
		t.Errorf("%d programs were started; want 1", got)
	}
	// Who waited is served first; the event and the log entry come right after.
	w.eventually("the ready event", func() bool { return len(w.seen(EventReady)) > 0 })
	ready := w.seen(EventReady)
	if pid := getInt(t, addrs[0], "/"); len(ready) != 1 || ready[0].Pid != pid || ready[0].Address != addrs[0] || ready[0].Took < 50*time.Millisecond {
		t.Errorf("ready events are %+v; want one, with pid %d, address %s, and at least 50ms", ready, pid, addrs[0])
	}
	for _, message := range []string{"function is starting", "function is ready"} {
		if got := w.logged(message); got["function"] != "default/hello" || got["address"] != addrs[0] || got["pid"] == nil {
			t.Errorf("log entry %q has fields %v; want function, address and pid", message, got)
		}
	}
}

func TestManyFunctionsStartAtOnce(t *testing.T) {
	w := newWorld(t, Options{})
	var specs []Spec
	for n := range 50 {
		specs = append(specs, program("f"+strconv.Itoa(n), "serve"))
	}
	e := w.executor(specs...)
	var wg sync.WaitGroup
	for _, s := range specs {
		wg.Go(func() {
			addrs, err := e.Addresses(t.Context(), fn(s.Ref.Name))
			if err != nil {
				t.Errorf("Addresses(%s): %v", s.Ref, err)
				return
			}
			if _, err := tryGet(addrs[0], "/"); err != nil {
				t.Errorf("GET of %s: %v", s.Ref, err)
			}
		})
	}
	wg.Wait()
}

func TestTheProbesConnectionIsHandedOver(t *testing.T) {
	var mu sync.Mutex
	stashed := map[string]net.Conn{}
	w := newWorld(t, Options{Stash: func(addr string, conn net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		stashed[addr] = conn
		return true
	}})
	viaHTTP := program("http", "serve")
	viaHTTP.Ready = Ready{Kind: ReadyHTTP, Path: "/health"} // 503 three times, then 200
	e := w.executor(program("tcp", "serve"), viaHTTP)
	for _, name := range []string{"tcp", "http"} {
		addr := w.address(e, name)
		mu.Lock()
		conn := stashed[addr]
		mu.Unlock()
		if conn == nil {
			t.Fatalf("%s: no connection was handed over before the address was", name)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write([]byte("GET /conns HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		buf := make([]byte, 4096)
		var answer string
		for {
			n, err := conn.Read(buf)
			answer += string(buf[:n])
			if err != nil {
				break
			}
		}
		conn.Close()
		if !strings.HasSuffix(answer, "\r\n\r\n1") {
			t.Errorf("%s: over the connection came %q; want an answer that says 1 connection was ever made", name, answer)
		}
	}
}

func TestEnvironmentIsWhatIsConfiguredAndFourMore(t *testing.T) {
	t.Setenv("SECRET_OF_THE_PARENT", "x")
	w := newWorld(t, Options{})
	e := w.executor(program("env", "serve", "GREETING", "a=b c"))
	addr := w.address(e, "env")
	_, port, _ := net.SplitHostPort(addr)
	want := []string{
		"GREETING=a=b c", "HOME=" + os.Getenv("HOME"), "KUBEFAAS_FUNCTION=default/env",
		"PATH=" + os.Getenv("PATH"), "PORT=" + port, roleVar + "=serve",
	}
	slices.Sort(want)
	got := strings.Split(get(t, addr, "/env"), "\n")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("environment is\n%q\nwant\n%q", got, want)
	}
}

func TestProgramIsFoundInPathOrBelowDir(t *testing.T) {
	self, _ := os.Executable()
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "prog")); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Options{})
	below := program("below", "serve")
	below.Command, below.Dir = []string{"./prog"}, dir
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	inPath := program("path", "serve")
	inPath.Command = []string{"prog"}
	e := w.executor(below, inPath)
	w.address(e, "below")
	w.address(e, "path")
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain", "hello", 0o600)
	script := write("script", "#!/no/such/interpreter\n", 0o700)
	for what, tt := range map[string]struct {
		command []string
		dir     string
		want    string
	}{
		"a program that is nowhere":            {[]string{"no-such-program"}, "", "not found"},
		"a path that is nowhere":               {[]string{"./no-such-program"}, dir, "no such file"},
		"a file that is not executable":        {[]string{plain}, "", "permission denied"},
		"a script without its interpreter":     {[]string{script}, "", "interpreter"},
		"a working directory that is nowhere":  {[]string{script}, filepath.Join(dir, "none"), "working directory"},
		"a working directory that is a file":   {[]string{script}, plain, "no directory"},
		"a shell's syntax, which no one reads": {[]string{"true; false"}, "", "not found"},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, Options{})
			s := program("bad", "serve")
			s.Command, s.Dir = tt.command, tt.dir
			e := w.executor(s)
			err := startError[*StartError](w, e, "bad")
			if !strings.Contains(err.Error(), tt.want) || err.Pid != 0 || err.Temporary() || err.Timeout() {
				t.Errorf("Addresses: %v; want %q in it, no pid, not temporary, no time-out", err, tt.want)
			}
			w.eventually("it is logged", func() bool { return w.logged("function did not start") != nil })
			if got := w.logged("function did not start"); !strings.Contains(got["error"].(string), tt.want) {
				t.Errorf("log entry is %v; want the reason in it", got)
			}
			// Mended by the next configuration.
			next := w.executor(program("bad", "serve"))
			e.Stop()
			w.address(next, "bad")
		})
	}
}

func TestWhatIsNotReadyInTimeSaysWhy(t *testing.T) {
	elsewhere := "refused"
	if runtime.GOOS == "linux" {
		elsewhere = "it listens on 127.0.0.1:"
	}
	for what, tt := range map[string]struct {
		role  string
		ready Ready
		want  string
	}{
		"a program that never listens":         {"hang", Ready{}, "refused"},
		"a program that listens elsewhere":     {"elsewhere", Ready{}, elsewhere},
		"a program that never answers":         {"mute", Ready{Kind: ReadyHTTP, Path: "/"}, "accepts connections but does not answer"},
		"a program that answers with an error": {"serve", Ready{Kind: ReadyHTTP, Path: "/broken"}, "GET /broken was answered with 500"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel() // they do nothing but wait
			w := newWorld(t, Options{})
			s := program("late", tt.role)
			s.Ready, s.StartTimeout = tt.ready, 3*time.Second
			err := startError[*StartError](w, w.executor(s), "late")
			if !errors.Is(err, ErrStartTimeout) || !err.Timeout() || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Addresses: %v; want ErrStartTimeout with %q", err, tt.want)
			}
			if !gone(err.Pid) {
				t.Errorf("pid %d is there; want it killed", err.Pid)
			}
		})
	}
}

func TestAWaiterLeavesWithItsContextAndTheStartGoesOn(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("slow", "serve", "DELAY", "300ms"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if addrs, err := e.Addresses(ctx, fn("slow")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Addresses = %v, %v; want the context's error", addrs, err)
	}
	w.address(e, "slow")
	if got := len(w.seen(EventStart)); got != 1 {
		t.Errorf("%d programs were started; want 1", got)
	}
}

func TestATakenPortIsTriedAgainElsewhere(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("unlucky", "unlucky", "MARK", filepath.Join(t.TempDir(), "mark")))
	addr := w.address(e, "unlucky")
	starts := w.seen(EventStart)
	if len(starts) != 2 || starts[0].Address == addr || starts[1].Address != addr {
		t.Errorf("starts are %+v; want two, the second on %s, the first elsewhere", starts, addr)
	}
}

func TestUnknownFunctionIsNotFound(t *testing.T) {
	w := newWorld(t, Options{})
	e := w.executor(program("known", "serve"))
	_, err := e.Addresses(t.Context(), fn("unknown"))
	var not interface{ NotFound() bool }
	if !errors.As(err, &not) || !not.NotFound() {
		t.Errorf("Addresses(unknown): %v; want an error with NotFound() true", err)
	}
	if got := e.Revision(function.Ref{Namespace: "default", Name: "unknown"}); got != "" {
		t.Errorf("Revision(unknown) = %q; want none", got)
	}
}

// TestStartOverhead prints what a cold start costs beyond the program's own:
// from the request to the fork, and from listening to the answer. It asserts
// nothing about time.
func TestStartOverhead(t *testing.T) {
	w := newWorld(t, Options{})
	var forks, finds []time.Duration
	for range 11 {
		e := w.executor(program("cold", "serve"))
		asked := time.Now()
		addr := w.address(e, "cold")
		answered := time.Now()
		starts := w.seen(EventStart)
		listening := time.Unix(0, int64(getInt(t, addr, "/listening")))
		fork := starts[len(starts)-1]
		forks = append(forks, fork.At.Sub(asked))
		finds = append(finds, answered.Sub(listening))
		e.Stop()
		w.eventually("it is stopped", func() bool { return gone(fork.Pid) })
	}
	for what, d := range map[string][]time.Duration{"from the request to the program's process": forks, "from listening to the answer": finds} {
		slices.Sort(d)
		t.Logf("cold start, %s: p50 %s, max %s", what, d[len(d)/2], d[len(d)-1])
	}
}
