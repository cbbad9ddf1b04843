package caddytest

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// tally counts answers by what they were, and by client.
type tally struct {
	mu     sync.Mutex
	count  map[string]int
	client map[int]int
}

func (a *tally) add(client int, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count == nil {
		a.count, a.client = make(map[string]int), make(map[int]int)
	}
	a.count[what]++
	a.client[client]++
}

// clients returns how many answers each client has had.
func (a *tally) clients() map[int]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.client)
}

// awaitEach waits until every one of the first clients has had n more answers.
func (a *tally) awaitEach(t *testing.T, clients, n int) {
	t.Helper()
	before := a.clients()
	late := -1
	Eventually(t, patience, func() bool {
		now := a.clients()
		for late = range clients {
			if now[late]-before[late] < n {
				return false
			}
		}
		return true
	}, func() string { return fmt.Sprintf("client %d has not had %d more answers", late, n) })
}

// steady keeps clients asking, each on a connection of its own, until the
// returned function is called. They use IDs that begin with their method.
func (p *platform) steady(t *testing.T, clients int, method, path, body string) (answers *tally, stop func()) {
	t.Helper()
	answers = new(tally)
	var over atomic.Bool
	var wg sync.WaitGroup
	for i, w := range p.dialWires(t, clients) {
		wg.Go(func() {
			for n := 0; !over.Load(); n++ {
				r, err := w.do(method, path, fmt.Sprintf("%s-%d-%d", method, i, n), body)
				if err != nil {
					answers.add(i, "no answer: "+err.Error())
					return
				}
				answers.add(i, fmt.Sprint(r.status, " ", r.reason()))
			}
		})
	}
	stop = sync.OnceFunc(func() {
		over.Store(true)
		wg.Wait()
	})
	t.Cleanup(stop)
	return answers, stop
}

// A cached address dies under load, again and again: requests that can be
// sent twice go to the next one, and no other is.
//
// By net/http's rule a request can be sent twice only if its connection had
// served before. So every client is answered by an address several times, each
// over a connection that is kept then, before that address dies. Still a GET may
// find all of them in use at that moment, for want of processor time, and meet the
// end on a new one: the log says so.
func TestAddressDiesUnderLoad(t *testing.T) {
	const deaths, getters, posters, warm = 4, 24, 8, 10
	a, b := NewProcessFunction(t, Delay(2*time.Millisecond)), NewProcessFunction(t, Delay(2*time.Millisecond))
	p := startPlatform(t, "", triggersFor("hello"), Process())
	p.ex.Answer("hello", executortest.At(a.Addr()))
	gets, stopGets := p.steady(t, getters, http.MethodGet, "/hello", "")
	posts, stopPosts := p.steady(t, posters, http.MethodPost, "/hello", "body")
	live, spare := a, b
	for range deaths {
		gets.awaitEach(t, getters, warm)
		posts.awaitEach(t, posters, warm)
		p.ex.Answer("hello", executortest.At(spare.Addr()))
		live.Kill()
		gets.awaitEach(t, getters, warm)
		posts.awaitEach(t, posters, warm)
		live.Restart(t) // with other requests' connections gone
		live, spare = spare, live
	}
	stopGets()
	stopPosts()
	t.Logf("GETs %v; POSTs %v; %d calls of the executor", gets.count, posts.count, p.ex.CallsFor("hello"))

	onNew := 0
	for _, entry := range p.Logs() {
		if text, _ := entry.Fields["error"].(string); strings.Contains(text, "request on a new connection") {
			onNew++
		}
	}
	for what, n := range gets.count {
		if what != "200 " && (what != "502 function_error" || n > onNew) {
			t.Errorf("got %d times %q for GETs, want 200; %d requests failed on new connections", n, what, onNew)
		}
	}
	for what := range posts.count {
		if what != "200 " && what != "502 function_error" {
			t.Errorf("got %d times %q for POSTs, want 200, or 502 for one that was sent already", posts.count[what], what)
		}
	}
	executed := a.IDs(t)
	for id, n := range b.IDs(t) {
		executed[id] += n
	}
	maps.DeleteFunc(executed, func(id string, n int) bool { return n <= 1 || id[0] == 'G' })
	if len(executed) > 0 {
		t.Errorf("got %d POSTs executed more than once, want none: %v", len(executed), executed)
	}
}

// An address that refuses is given up at once, whatever the method: no byte
// was sent.
func TestRefusedAddressIsReplaced(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			old, fresh := NewFunction(t), NewFunction(t)
			p := startPlatform(t, "", triggersFor("hello"))
			p.ex.Answer("hello", executortest.At(old.Addr()), executortest.At(fresh.Addr()))
			if r := p.once(t, http.MethodGet, "/hello", "", ""); r.wantOK() != nil {
				t.Fatal(r.wantOK())
			}
			old.Kill()
			r := p.once(t, method, "/hello", "1", "body")
			if r.wantOK() != nil || fresh.RequestsWithID("1") != 1 {
				t.Errorf("got %v, executed %d times, want 200 and once", r.wantOK(), fresh.RequestsWithID("1"))
			}
			if got := p.ex.CallsFor("hello"); got != 2 {
				t.Errorf("got %d calls of the executor, want 2", got)
			}
		})
	}
}
