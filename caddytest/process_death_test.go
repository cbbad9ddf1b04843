//go:build unix

package caddytest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// kill ends a process as nothing else does.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing %d: %v", pid, err)
	}
}

// Two hundred random kills of instances under load. What fails does so safely:
// it never reached a function, or it may not be sent again, being a POST or
// the first on its connection.
func TestInstancesAreKilledUnderLoad(t *testing.T) {
	const kills, functions = 200, 5 // of which each has a back-off of its own
	p := newPrograms(t)
	blocks := []string{}
	for _, name := range functionNames(functions) {
		blocks = append(blocks, "function "+name+" {\nconcurrency 4\n}", p.function(name, "serve", "instances 1 2"))
	}
	c := Start(t, programConfig(blocks...))
	gets := c.callUntil(t, functions, 3, http.MethodGet)
	posts := c.callUntil(t, functions, 1, http.MethodPost)
	random := rand.New(rand.NewPCG(1, 2))
	done, began := 0, time.Now()
	for ; done < kills && time.Since(began) < loadDeadline; done++ {
		var pids []int
		Eventually(t, patience, func() bool { pids = p.left(t); return len(pids) > 0 }, func() string { return "no instance runs" })
		// It may have ended just now, with the kill before.
		_ = syscall.Kill(pids[random.IntN(len(pids))], syscall.SIGKILL)
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	}
	took := time.Since(began)
	got, sent := gets(), posts()
	t.Logf("%d kills in %v, %d starts; GETs %v; POSTs %v", done, took.Round(time.Millisecond), len(p.started(t)), got.count, sent.count)
	if done < kills {
		t.Errorf("got %d kills in %v, want %d", done, took, kills)
	}
	for what, answers := range map[string]*outcomes{http.MethodGet: got, http.MethodPost: sent} {
		for answer, n := range answers.count {
			if !safe(what, answer) {
				t.Errorf("got %d times %q for a %s, want 200, or what failed safely", n, answer, what)
			}
		}
		if answers.count["200 "] == 0 {
			t.Errorf("got no %s answered: %v", what, answers.count)
		}
	}
	for id, n := range p.executed(t) {
		if n > 1 && strings.HasPrefix(id, http.MethodPost) {
			t.Errorf("%s was executed %d times, want once at most", id, n)
		}
	}
}

// safe says whether a request may be answered so while instances are killed.
func safe(method, answer string) bool {
	switch answer {
	case "200 ", "502 function_error on a new connection":
		return true
	case "502 executor_error": // an instance was killed at its start, again and again
		return true
	}
	return method == http.MethodPost && strings.HasPrefix(answer, "502 function_error")
}

// outcomes are answers, by status and reason, and the IDs of those that failed.
type outcomes struct {
	mu    sync.Mutex
	count map[string]int
	ids   map[string][]string
}

// callUntil keeps a few clients calling each of the functions f0, f1 and so on,
// until the returned function is called.
func (c *Caddy) callUntil(t *testing.T, functions, clients int, method string) (stop func() *outcomes) {
	t.Helper()
	o := &outcomes{count: make(map[string]int), ids: make(map[string][]string)}
	var over atomic.Bool
	var wg sync.WaitGroup
	for i, w := range c.dialWires(t, functions*clients) {
		path := fmt.Sprintf("/f%d/slow?for=1ms", i%functions)
		wg.Go(func() {
			for n := 0; !over.Load(); n++ {
				id := fmt.Sprintf("%s-%d-%d", method, i, n)
				r, err := w.do(method, path, id, "")
				if err != nil {
					t.Errorf("%s: got no answer: %v", id, err)
					return
				}
				o.add(describe(r), id)
			}
		})
	}
	stop = sync.OnceValue(func() *outcomes {
		over.Store(true)
		wg.Wait()
		return o
	})
	t.Cleanup(func() { stop() })
	return stop
}

// describe is an answer's status and reason, and on what kind of connection the
// function broke off.
func describe(r reply) string {
	answer := fmt.Sprint(r.status, " ", r.reason())
	for _, kind := range []string{"new", "kept"} {
		if strings.Contains(r.body, "request on a "+kind+" connection") {
			answer += " on a " + kind + " connection"
		}
	}
	return answer
}

func (o *outcomes) add(answer, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count[answer]++
	if answer != "200 " {
		o.ids[answer] = append(o.ids[answer], id)
	}
}

// A program that ends in the midst of a request: that one fails, with a
// reason, and the next is served by a new instance.
func TestAProgramCrashesInTheMidstOfARequest(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "serve")))
	first := c.number(t, "/hello/")
	c.once(t, http.MethodPost, "/hello/exit", "", "body").wantProblem(t, http.StatusBadGateway, "function_error")
	if next := c.number(t, "/hello/"); next == first || isGone(next) || !isGone(first) {
		t.Errorf("got an answer of pid %d (gone: %t) after %d (gone: %t), want one of a new instance", next, isGone(next), first, isGone(first))
	}
	entry := c.WaitLog(t, `"function crashed"`, patience).Raw
	for _, want := range []string{"exit status 7", "asked to exit", `"function":"default/hello"`, fmt.Sprintf(`"pid":%d`, first)} {
		if !strings.Contains(entry, want) {
			t.Errorf("got the log entry %s, want %q in it", entry, want)
		}
	}
}

// SIGKILL of Caddy takes all programs along, and what they have started, while
// its own end takes its time for all.
func TestProgramsDieWithCaddy(t *testing.T) {
	for what, end := range map[string]func(t *testing.T, c *Caddy){
		"SIGKILL": func(t *testing.T, c *Caddy) { c.Kill(t) },
		"SIGTERM": func(t *testing.T, c *Caddy) { c.Signal(t, syscall.SIGTERM); c.WaitExit(t, patience) },
		"SIGQUIT": func(t *testing.T, c *Caddy) { c.Signal(t, syscall.SIGQUIT); c.WaitExit(t, patience) },
	} {
		t.Run(what, func(t *testing.T) {
			p := newPrograms(t)
			c := Start(t, programConfig(p.function("single", "serve"), p.function("family", "family"),
				p.function("many", "serve", "instances 3 3"), p.function("starting", "hang")), Process())
			w := c.mustDial(t) // for one that never gets ready
			if err := w.send(http.MethodGet, "/starting/", "", ""); err != nil {
				t.Fatal(err)
			}
			c.text(t, "/single/")
			c.text(t, "/family/")
			p.awaitLeft(t, 7)
			end(t, c)
			ended := time.Now()
			p.awaitLeft(t, 0)
			if took := time.Since(ended); took > 2*time.Second && what == "SIGKILL" {
				t.Errorf("the last process was there %v after the end of Caddy, want 2s at most", took)
			} else {
				t.Logf("no process was left %v after the end of Caddy", took)
			}
		})
	}
}

// A program that prints a gigabyte blocks nobody and fills no memory.
func TestAProgramFloodsItsOutput(t *testing.T) {
	size := 1 << 30
	if raceEnabled {
		size >>= 2 // the log's race detector is what takes the time
	}
	p := newPrograms(t)
	text := programConfig(p.function("hello", "serve")).text
	// A log that goes nowhere: the test's own would have to hold it.
	text = strings.Replace(text, "{\n", "{\nlog {\noutput discard\n}\nlog other {\nexclude kubefaas.process.output\n}\n", 1)
	c := Start(t, Caddyfile(text), Process())
	c.text(t, "/hello/")
	rss, heap := c.RSS(t), c.Memory(t).HeapInuse
	most := rss
	began := time.Now()
	w := c.mustDial(t)
	if err := w.send(http.MethodGet, fmt.Sprintf("/hello/flood?bytes=%d", size), "", ""); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		r, err := w.receive()
		if err == nil {
			err = r.wantOK()
		}
		done <- err
	}()
	for flooding := true; flooding; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			flooding = false
		case <-time.After(50 * time.Millisecond):
		}
		most = max(most, c.RSS(t))
	}
	grown := c.Memory(t).HeapInuse - heap
	t.Logf("%d MiB of output in %v: Caddy's memory was %d KiB before and %d KiB at most, its heap grew by %d KiB",
		size>>20, time.Since(began).Round(time.Millisecond), rss>>10, most>>10, grown>>10)
	if most-rss > 64<<20 && !raceEnabled {
		t.Errorf("Caddy's memory grew by %d KiB, want 64 MiB at most", (most-rss)>>10)
	}
	if grown > 64<<20 {
		t.Errorf("Caddy's heap grew by %d KiB, want 64 MiB at most", grown>>10)
	}
	c.text(t, "/hello/")
}

// What a program prints is in Caddy's log, a line an entry.
func TestOutputOfProgramsIsLogged(t *testing.T) {
	p := newPrograms(t)
	c := Start(t, programConfig(p.function("hello", "serve")))
	pid := c.number(t, "/hello/")
	c.text(t, "/hello/say?what=something+memorable")
	entry := c.WaitLog(t, "something memorable", patience)
	want := map[string]any{"function": "default/hello", "pid": float64(pid), "stream": "stdout"}
	for field, value := range want {
		if entry.Fields[field] != value {
			t.Errorf("got the field %s: %v, want %v: %s", field, entry.Fields[field], value, entry.Raw)
		}
	}
	if entry.Msg != "something memorable" || os.Getpid() == pid {
		t.Errorf("got the message %q, want what was printed and nothing else", entry.Msg)
	}
}
