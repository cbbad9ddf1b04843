package caddytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// patience bounds what a test waits for, generously: other tests compete for
// the processor. It is no claim about speed.
const patience = 30 * time.Second

// platform is a Caddy with the plugin in front of a scripted executor.
type platform struct {
	*Caddy
	ex *executortest.Server
}

// startPlatform starts Caddy with lines of the app's block and lines of the
// site's, of which {{.Executor}} stands for the executor's URL. It fails the
// test if Caddy logs a data race or a panic.
func startPlatform(t *testing.T, app, site string, opts ...Option) *platform {
	t.Helper()
	p := &platform{ex: executortest.New(t)}
	t.Cleanup(func() { // after the end of Caddy
		if p.Caddy != nil {
			p.wantQuietEnd(t)
		}
	})
	p.Caddy = Start(t, p.config(app, site), opts...)
	return p
}

// config is a configuration of this platform.
func (p *platform) config(app, site string) Config {
	return Caddyfile(fmt.Sprintf("{\n\tkubefaas {\n\t\texecutor http %s\n\t\t%s\n\t}\n}\nhttp://:{{.HTTP}} {\n\tkubefaas {\n\t\t%s\n\t}\n}\n",
		p.ex.URL, app, site))
}

// wantQuietEnd looks for what the race detector or a panic has printed.
func (p *platform) wantQuietEnd(t *testing.T) {
	t.Helper()
	for _, entry := range p.Logs() {
		for _, bad := range []string{"DATA RACE", "panic", "fatal error"} {
			if strings.Contains(entry.Raw, bad) {
				t.Errorf("got a log line with %q, want none: %s", bad, entry.Raw)
			}
		}
	}
}

// triggersFor are site lines that route /<name> to each function.
func triggersFor(names ...string) string {
	var lines strings.Builder
	for _, name := range names {
		fmt.Fprintf(&lines, "trigger /%s %s\n", name, name)
	}
	return lines.String()
}

// waiting returns how many requests are in the waiting rooms.
func (p *platform) waiting(t *testing.T) int {
	t.Helper()
	return int(p.Metrics(t).Sum("kubefaas_waiting_requests"))
}

// awaitWaiting waits until n requests wait.
func (p *platform) awaitWaiting(t *testing.T, n int) {
	t.Helper()
	got := -1
	Eventually(t, patience, func() bool {
		got = p.waiting(t)
		return got == n
	}, func() string { return fmt.Sprintf("got %d waiting requests, want %d", got, n) })
}

// awaitCalls waits until the executor was asked n times in all.
func (p *platform) awaitCalls(t *testing.T, call string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.ex.WaitCalls(ctx, call, n); err != nil {
		t.Fatalf("got %d calls of %s, want %d: %v", p.ex.Calls(call), call, n, err)
	}
}

// wire is a client's connection and nothing else: net/http's client takes two
// goroutines more for each, which thousands of clients in a test feel.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialWire connects to Caddy. Whatever comes of it ends within two minutes.
func dialWire(addr string) (*wire, error) {
	conn, err := net.DialTimeout("tcp4", addr, patience)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(loadDeadline)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 1<<10)}, nil
}

// mustDial connects to Caddy until the test ends.
func (c *Caddy) mustDial(t *testing.T) *wire {
	t.Helper()
	w, err := dialWire(c.Addr())
	if err != nil {
		t.Fatalf("connecting to Caddy: %v", err)
	}
	t.Cleanup(w.close)
	return w
}

func (w *wire) close() { _ = w.conn.Close() }

// send sends a request with a body; an id that is not empty counts executions.
func (w *wire) send(method, path, id, body string, header ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: test\r\n", method, path)
	if id != "" {
		fmt.Fprintf(&b, "%s: %s\r\n", TestIDHeader, id)
	}
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	if body != "" || method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	_, err := io.WriteString(w.conn, b.String())
	return err
}

// reply is an answer with its whole body.
type reply struct {
	status int
	header http.Header
	body   string
	at     time.Time // when all of it was there
}

// receive reads one answer.
func (w *wire) receive() (reply, error) {
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return reply{resp.StatusCode, resp.Header, string(body), time.Now()}, err
}

// do sends a request and reads its answer.
func (w *wire) do(method, path, id, body string, header ...string) (reply, error) {
	if err := w.send(method, path, id, body, header...); err != nil {
		return reply{}, err
	}
	return w.receive()
}

// reason is the router's own, empty for a function's answer.
func (r reply) reason() string { return r.header.Get("X-Kubefaas-Error") }

// wantOK is nil for a function's answer 200.
func (r reply) wantOK() error {
	if r.status != http.StatusOK {
		return fmt.Errorf("got status %d, reason %q, want 200: %.200s", r.status, r.reason(), r.body)
	}
	return nil
}

// ok makes a request and is nil for a function's answer 200.
func (w *wire) ok(method, path, id, body string) error {
	r, err := w.do(method, path, id, body)
	if err != nil {
		return err
	}
	return r.wantOK()
}

// once is one request on a connection of its own.
func (c *Caddy) once(t *testing.T, method, path, id, body string) reply {
	t.Helper()
	w, err := dialWire(c.Addr())
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer w.close()
	r, err := w.do(method, path, id, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// dialWires opens n connections to Caddy, until the test ends.
func (c *Caddy) dialWires(t *testing.T, n int) []*wire {
	t.Helper()
	wires := make([]*wire, n)
	t.Cleanup(func() {
		for _, w := range wires {
			if w != nil {
				w.close()
			}
		}
	})
	Load(t, n, 64, func(_ context.Context, i int) (err error) {
		wires[i], err = dialWire(c.Addr())
		return err
	}).RequireNoErrors(t)
	return wires
}

// sendAll sends one request on each connection, with its index as its ID.
func sendAll(t *testing.T, wires []*wire, method, path, body string) {
	t.Helper()
	Load(t, len(wires), 64, func(_ context.Context, i int) error {
		return wires[i].send(method, path, fmt.Sprint(i), body)
	}).RequireNoErrors(t)
}

// receiveAll reads an answer 200 of a function on each connection.
func receiveAll(t *testing.T, wires []*wire) *LoadReport {
	t.Helper()
	rep := Load(t, len(wires), len(wires), func(_ context.Context, i int) error {
		r, err := wires[i].receive()
		if err != nil {
			return err
		}
		return r.wantOK()
	})
	rep.RequireNoErrors(t)
	return rep
}

// functionNames are n names.
func functionNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	return names
}
