package caddytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// failing is four sites with the same triggers: one without error routes, one
// with, one with error routes for another status, and one that tells all.
const failing = `{
	kubefaas {
		executor http {{.Executor}}
		cold_start_timeout %v
		max_waiting 1
		retry {
			max_attempts 3
		}
		function busy {
			concurrency 1
		}
	}
}
(triggers) {
	trigger GET /get-only ok
	trigger /slow slow {
		timeout 200ms
	}
	trigger /hangs hangs
	trigger /full full
	trigger /limited limited
	trigger /limited-for-7s limited-for-7s
	trigger /broken broken
	trigger /unknown unknown
	trigger /executor-hangs-up executor-hangs-up
	trigger /dead dead
	trigger /silent silent
	trigger /abort ok
	trigger /busy busy
	trigger /nonsense nonsense
}
http://plain:{{.HTTP}} {
	log
	kubefaas {
		import triggers
	}
}
http://pages:{{.HTTP}} {
	log
	kubefaas {
		import triggers
	}
	handle_errors {
		respond "{err.status_code} {http.kubefaas.error.reason} {http.kubefaas.function} page"
	}
}
http://other-pages:{{.HTTP}} {
	kubefaas {
		import triggers
	}
	handle_errors 418 {
		respond "a page for teapots"
	}
}
http://debug:{{.HTTP}} {
	kubefaas {
		debug
		import triggers
	}
}
`

// failureCase is a request that fails, and what must come of it.
type failureCase struct {
	name         string
	method, path string
	status       int
	reason       string
	function     string
	header       [2]string // one that must be there; with any value if it is ""
	detail       string    // what only debug tells
}

// failures are the cases of the contract's table of failures, each with a real
// fault, but for the client that leaves.
var failures = []failureCase{
	{name: "no route", path: "/nothing", status: 404, reason: "no_route"},
	{name: "a wrong method", method: http.MethodPost, path: "/get-only", status: 405, reason: "method_not_allowed", header: [2]string{"Allow", "GET, HEAD"}},
	{name: "the function's timeout passed", path: "/slow", status: 504, reason: "function_timeout", function: "slow", detail: "127.0.0.1:"},
	{name: "the executor does not answer in time", path: "/hangs", status: 504, reason: "cold_start_timeout", function: "hangs"},
	{name: "the executor says 429", path: "/limited", status: 429, reason: "capacity_exceeded", function: "limited", header: [2]string{"Retry-After", "1"}, detail: "no place"},
	{name: "the executor says 429 and until when", path: "/limited-for-7s", status: 429, reason: "capacity_exceeded", function: "limited-for-7s", header: [2]string{"Retry-After", "7"}},
	{name: "the executor says 500", path: "/broken", status: 502, reason: "executor_error", function: "broken", detail: "secret text"},
	{name: "the executor says 404", path: "/unknown", status: 502, reason: "function_not_found", function: "unknown", detail: "no such function"},
	{name: "the executor hangs up", path: "/executor-hangs-up", status: 502, reason: "executor_unavailable", function: "executor-hangs-up", detail: "getServiceForFunction"},
	{name: "the address refuses", path: "/dead", status: 502, reason: "connection_refused", function: "dead", detail: "127.0.0.1:"},
	{name: "the address does not answer", path: "/silent", status: 502, reason: "dial_timeout", function: "silent", detail: "127.0.0.1:"},
	{name: "the function hangs up", method: http.MethodPost, path: "/abort", status: 502, reason: "function_error", function: "ok", detail: "127.0.0.1:"},
	{name: "the waiting room is full", path: "/full", status: 503, reason: "waiting_room_full", function: "full", header: [2]string{"Retry-After", ""}},
	{name: "the function has no place", path: "/busy", status: 503, reason: "concurrency_limit", function: "busy", header: [2]string{"Retry-After", ""}},
	{name: "the executor names no address", path: "/nonsense", status: 502, reason: "bad_address", function: "nonsense", detail: "two words"},
}

// startFailing starts the sites, with a cold_start_timeout, and puts each fault
// in its place.
func startFailing(t *testing.T, coldStart time.Duration) *platform {
	t.Helper()
	p := startSites(t, fmt.Sprintf(failing, coldStart))
	ok, slow, dead := NewFunction(t), NewFunction(t), NewFunction(t, Down())
	for name, answer := range map[string]executortest.Answer{
		"ok":                executortest.At(ok.Addr()),
		"slow":              executortest.At(slow.Addr()),
		"busy":              executortest.At(slow.Addr()),
		"hangs":             {Until: make(chan struct{})},
		"limited":           executortest.Fail(http.StatusTooManyRequests, "no place"),
		"limited-for-7s":    {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"7"}}},
		"broken":            executortest.Fail(http.StatusInternalServerError, "secret text"),
		"executor-hangs-up": {Abort: true},
		"dead":              executortest.At(dead.Addr()),
		"silent":            executortest.At(BlackHole(t)),
		"nonsense":          executortest.At("two words"),
		"full":              {Until: make(chan struct{})},
	} {
		p.ex.Answer(name, answer)
	}
	slow.SetDelay(patience)
	return p
}

// occupy keeps a request at a function until the returned function is called;
// where is the count by which it is seen there.
func (p *platform) occupy(t *testing.T, path, name string, where func(functionView) int) (end func()) {
	t.Helper()
	w := p.mustDial(t)
	if _, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: plain\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	p.awaitFunction(t, name, "one request", func(f functionView) bool { return where(f) == 1 })
	return func() {
		w.close()
		p.awaitFunction(t, name, "no request", func(f functionView) bool { return where(f) == 0 })
	}
}

// fail makes the request of a case to a host. Where the fault is that another
// request is there already, there is one.
func (p *platform) fail(t *testing.T, host, method, path string) reply {
	t.Helper()
	switch path {
	case "/full":
		defer p.occupy(t, path, "full", func(f functionView) int { return f.Waiting })()
	case "/busy":
		defer p.occupy(t, path, "busy", func(f functionView) int { return f.InFlight })()
	}
	if path == "/abort" {
		return p.ask(t, method, host, path, DoHeader, "abort")
	}
	if method == "" {
		method = http.MethodGet
	}
	return p.ask(t, method, host, path)
}

// awaitFunction waits until a function is as the test wants it.
func (p *platform) awaitFunction(t *testing.T, name, want string, ok func(functionView) bool) {
	t.Helper()
	Eventually(t, patience, func() bool {
		return slices.ContainsFunc(p.functions(t), func(f functionView) bool { return f.Name == name && ok(f) })
	},
		func() string { return fmt.Sprintf("%s: want %s", name, want) })
}

// problemBody is a failure's body, as RFC 9457 has it and nothing else.
type problemBody struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Reason    string `json:"reason"`
	Function  string `json:"function"`
	RequestID string `json:"request_id"`
}

func readProblem(t *testing.T, r reply) problemBody {
	t.Helper()
	var p problemBody
	dec := json.NewDecoder(bytes.NewReader([]byte(r.body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		t.Fatalf("got a body that is no problem: %v: %.300s", err, r.body)
	}
	return p
}

func TestEveryFailureHasItsStatusReasonAndBody(t *testing.T) {
	p := startFailing(t, 2*time.Second)
	before := p.Metrics(t)
	t.Run("cases", func(t *testing.T) {
		for _, test := range failures {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel() // several take their time
				plain := p.fail(t, "plain", test.method, test.path)
				test.check(t, plain)
				test.checkProblem(t, plain)

				pages := p.fail(t, "pages", test.method, test.path)
				test.check(t, pages)
				if want := fmt.Sprintf("%d %s %s page", test.status, test.reason, test.function); pages.body != want {
					t.Errorf("got body %q of the error routes, want %q", pages.body, want)
				}

				other := p.fail(t, "other-pages", test.method, test.path)
				test.check(t, other)
				test.checkProblem(t, other)

				if got := readProblem(t, p.fail(t, "debug", test.method, test.path)); !strings.Contains(got.Detail, test.detail) {
					t.Errorf("got detail %q with debug, want one with %q", got.Detail, test.detail)
				}
			})
		}
	})
	after, want := p.Metrics(t), make(map[string]float64)
	for _, test := range failures {
		want[test.reason] += 4
	}
	for reason, want := range want {
		if got := after.Sum("kubefaas_failures_total", "reason", reason) - before.Sum("kubefaas_failures_total", "reason", reason); got != want {
			t.Errorf("got %v failures counted with reason %s, want %v", got, reason, want)
		}
	}
}

// check judges what every answer has, whoever wrote its body.
func (test *failureCase) check(t *testing.T, r reply) {
	t.Helper()
	if r.status != test.status || r.reason() != test.reason {
		t.Fatalf("got %d %q, want %d %q; body: %.300s", r.status, r.reason(), test.status, test.reason, r.body)
	}
	if r.header.Get("X-Request-Id") == "" {
		t.Error("got no X-Request-Id, want one")
	}
	name, want := test.header[0], test.header[1]
	if got := r.header.Get(name); name != "" && (got == "" || want != "" && got != want) {
		t.Errorf("got %s %q, want %q", name, got, want)
	}
}

func (test *failureCase) checkProblem(t *testing.T, r reply) {
	t.Helper()
	got := readProblem(t, r)
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("got Content-Type %q, want application/problem+json", ct)
	}
	want := problemBody{
		Type: "urn:kubefaas:error:" + test.reason, Title: got.Title, Status: test.status, Detail: got.Detail,
		Reason: test.reason, RequestID: r.header.Get("X-Request-Id"),
	}
	if test.function != "" {
		want.Function = "default/" + test.function
	}
	if got != want || got.Title == "" || got.Detail == "" {
		t.Errorf("got problem %+v, want %+v, with a title and a detail", got, want)
	}
	if test.detail != "" && strings.Contains(r.body, test.detail) {
		t.Errorf("got %q, want nothing of %q without debug", r.body, test.detail)
	}
}

// A client that leaves gets no answer; the access log has 499 for it, with and
// without error routes.
func TestClientThatLeavesIs499InTheAccessLog(t *testing.T) {
	p := startFailing(t, patience)
	for name, test := range map[string]struct{ host, path string }{
		"while the function runs":                 {"plain", "/busy?a"},
		"while the function runs, with pages":     {"pages", "/busy?b"},
		"while the executor is asked":             {"plain", "/full?a"},
		"while the executor is asked, with pages": {"pages", "/full?b"},
	} {
		t.Run(name, func(t *testing.T) {
			w := p.mustDial(t)
			if _, err := fmt.Fprintf(w.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", test.path, test.host); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(test.path, "/busy") {
				p.awaitFunction(t, "busy", "one in flight", func(f functionView) bool { return f.InFlight == 1 })
			} else {
				p.awaitWaiting(t, 1)
			}
			time.Sleep(10 * time.Millisecond)
			w.close()
			entry := p.accessLog(t, `"`+test.path+`"`)
			if entry["status"] != 499.0 || entry["reason"] != "client_closed" {
				t.Errorf("got status %v, reason %v in the access log, want 499 client_closed", entry["status"], entry["reason"])
			}
			p.awaitFunction(t, "busy", "none in flight", func(f functionView) bool { return f.InFlight == 0 })
			p.awaitWaiting(t, 0)
		})
	}
}
