package caddytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// dialSocket opens a WebSocket to an echoing function.
func (c *Caddy) dialSocket(ctx context.Context, path string) (*websocket.Conn, error) {
	conn, _, err := websocket.Dial(ctx, c.URL(path), &websocket.DialOptions{
		HTTPClient: c.Client(), HTTPHeader: http.Header{DoHeader: {"websocket"}},
	})
	return conn, err
}

// echoed sends a text and wants it back.
func echoed(ctx context.Context, conn *websocket.Conn, text string) error {
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		return err
	}
	_, got, err := conn.Read(ctx)
	if err == nil && string(got) != text {
		err = fmt.Errorf("got %q back, want %q", got, text)
	}
	return err
}

// background makes requests to a function, each with an ID of its own, until
// stop, which returns how many there were; any that fails fails the test. GETs
// go over kept connections, POSTs each over a new one.
func (c *Caddy) background(t *testing.T, f *Function, clients int, method, path string) (stop func() int64) {
	t.Helper()
	client := c.Client()
	if method == http.MethodPost {
		client = &http.Client{Transport: &http.Transport{DialContext: loopbackDial, DisableKeepAlives: true}}
	}
	var over atomic.Bool
	var made atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for !over.Load() {
				id := fmt.Sprint(method, made.Add(1))
				if err := reach(t.Context(), client, f, method, c.URL(path), id); err != nil {
					t.Errorf("%s %s during a reload: %v", method, path, err)
					return
				}
			}
		})
	}
	stop = func() int64 {
		over.Store(true)
		wg.Wait()
		return made.Load()
	}
	t.Cleanup(func() { stop() })
	return stop
}

// reach wants an answer 200 to a request, with a small body for a POST.
//
// It asks again if the connection was closed before the function executed
// anything: at a reload Caddy closes its old listener, and connections that
// nobody has accepted there, or that just were, go with it. Caddy does so
// whatever it serves, before any handler sees a request.
func reach(ctx context.Context, client *http.Client, f *Function, method, url, id string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := status200(ctx, client, method, url, id)
		closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
		if !closed || f.RequestsWithID(id) > 0 {
			return err
		}
	}
}

func status200(ctx context.Context, client *http.Client, method, url, id string) error {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("body")
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set(TestIDHeader, id)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("got status %d, want 200: %.200s", resp.StatusCode, text)
	}
	return nil
}

func TestReloadsUnderWebSocketsAndLoad(t *testing.T) {
	const sockets, reloads = 500, 20
	f := NewFunction(t)
	p := startPlatform(t, "", triggersFor("hello"), Process())
	p.ex.Answer("hello", executortest.At(f.Addr()))
	conns := make([]*websocket.Conn, sockets)
	Load(t, sockets, 32, func(ctx context.Context, i int) (err error) {
		conns[i], err = p.dialSocket(ctx, "/hello")
		return err
	}).RequireNoErrors(t)
	defer func() {
		for _, conn := range conns {
			_ = conn.CloseNow()
		}
	}()
	stopGets := p.background(t, f, 8, http.MethodGet, "/hello")
	stopPosts := p.background(t, f, 4, http.MethodPost, "/hello")
	for n := range reloads {
		other := fmt.Sprintf("trigger /other/%d other%d", n, n)
		if err := p.Reload(t, p.config("", triggersFor("hello")+other)); err != nil {
			t.Fatalf("reload %d: %v", n, err)
		}
		Load(t, sockets, 16, func(ctx context.Context, i int) error {
			return echoed(ctx, conns[i], fmt.Sprint(n, " ", i))
		}).RequireNoErrors(t)
	}
	gets, posts := stopGets(), stopPosts()
	t.Logf("%d reloads, %d GETs, %d POSTs, %d WebSockets open", reloads, gets, posts, f.Active())
	if again := f.Repeated(); len(again) > 0 {
		t.Errorf("got requests executed more than once, want none: %v", again)
	}
	if got := f.Active(); got != sockets {
		t.Errorf("got %d WebSockets open at the end, want %d", got, sockets)
	}
	if gets == 0 || posts == 0 {
		t.Errorf("got %d GETs and %d POSTs, want a load", gets, posts)
	}
	if got := p.ex.CallsFor("hello"); got != 1 {
		t.Errorf("got %d calls of the executor, want 1: addresses survive a reload", got)
	}
}

// A request that waits for a cold function does not notice a reload.
func TestWaitingRequestsSurviveReloads(t *testing.T) {
	const n = 50
	f := NewFunction(t)
	p := startPlatform(t, "", triggersFor("hello"))
	release := make(chan struct{})
	p.ex.Answer("hello", executortest.Answer{Text: f.Addr(), Until: release})
	wires := p.dialWires(t, n)
	sendAll(t, wires, http.MethodPost, "/hello", "body")
	p.awaitWaiting(t, n)
	for i := range 3 {
		if err := p.Reload(t, p.config("", triggersFor("hello", fmt.Sprint("other", i)))); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.waiting(t); got != n {
		t.Errorf("got %d requests waiting after the reloads, want %d", got, n)
	}
	close(release)
	receiveAll(t, wires)
	if got, again := p.ex.CallsFor("hello"), f.Repeated(); got != 1 || len(again) > 0 {
		t.Errorf("got %d calls of the executor, and %v executed more than once, want 1 and none", got, again)
	}
}

// Metadata is what an address depends on, so a change forgets it.
func TestReloadForgetsOnlyFunctionsWhoseMetadataChanged(t *testing.T) {
	for name, change := range map[string]string{
		"another resource version": "uid 1\nresource_version 2",
		"another uid":              "uid 2\nresource_version 1",
	} {
		t.Run(name, func(t *testing.T) {
			old, fresh, other := NewFunction(t), NewFunction(t), NewFunction(t)
			site := triggersFor("changed", "same")
			metadata := func(changed string) string {
				return "function changed {\n" + changed + "\n}\nfunction same {\nuid 7\nresource_version 7\n}"
			}
			p := startPlatform(t, metadata("uid 1\nresource_version 1"), site)
			p.ex.Answer("changed", executortest.At(old.Addr()), executortest.At(fresh.Addr()))
			p.ex.Answer("same", executortest.At(other.Addr()))
			for range 2 {
				p.once(t, http.MethodGet, "/changed", "", "")
				p.once(t, http.MethodGet, "/same", "", "")
			}
			if err := p.Reload(t, p.config(metadata(change), site)); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				after := fmt.Sprint("after", i)
				for path, f := range map[string]*Function{"/changed": fresh, "/same": other} {
					if err := reach(t.Context(), p.Client(), f, http.MethodGet, p.URL(path), after); err != nil {
						t.Fatal(err)
					}
				}
			}
			if a, b := p.ex.CallsFor("changed"), p.ex.CallsFor("same"); a != 2 || b != 1 {
				t.Errorf("got %d and %d calls of the executor for the changed function and the other, want 2 and 1", a, b)
			}
			if a, b, c := old.Requests(), fresh.Requests(), other.Requests(); a != 2 || b != 2 || c != 4 {
				t.Errorf("got %d, %d and %d requests at the old, the new and the unchanged address, want 2, 2 and 4", a, b, c)
			}
		})
	}
}

// A stream that began before a reload goes on, and is tapped, after it.
func TestStreamSurvivesReloads(t *testing.T) {
	f := NewFunction(t)
	const app = "tap_interval 50ms"
	p := startPlatform(t, app, triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	w := p.mustDial(t)
	if err := w.send(http.MethodGet, "/hello", "", "", DoHeader, "sse?n=-1&every=5ms"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	events := bufio.NewScanner(resp.Body)
	for i := range 3 {
		if err := p.Reload(t, p.config(app, triggersFor("hello", fmt.Sprint("other", i)))); err != nil {
			t.Fatal(err)
		}
		p.awaitCalls(t, executor.CallTap, p.ex.Calls(executor.CallTap)+2)
	}
	seen := 0
	for deadline := time.Now().Add(patience); seen < 100 && events.Scan() && time.Now().Before(deadline); {
		if events.Text() != "" {
			if want := fmt.Sprint("data: ", seen); events.Text() != want {
				t.Fatalf("got event %q, want %q", events.Text(), want)
			}
			seen++
		}
	}
	if seen < 100 {
		t.Errorf("got %d events, want 100 or more: %v", seen, events.Err())
	}
}

// A configuration without the app takes nothing from a request that is between
// two attempts.
func TestRequestInBackOffSurvivesTheEndOfTheApp(t *testing.T) {
	p := startSites(t, `{
	kubefaas {
		executor http {{.Executor}}
		retry {
			initial_interval 1500ms
		}
	}
}
http://:{{.HTTP}} {
	kubefaas /hello hello
}
`)
	f := NewFunction(t)
	p.ex.Answer("hello", executortest.At(f.Addr()))
	p.once(t, http.MethodGet, "/hello", "", "")
	f.Kill()
	w := p.mustDial(t)
	if err := w.send(http.MethodGet, "/hello", "", ""); err != nil {
		t.Fatal(err)
	}
	p.WaitLog(t, "address invalidated", patience)
	if err := p.Reload(t, p.sites("http://:{{.HTTP}} {\n\trespond gone\n}\n")); err != nil {
		t.Fatal(err)
	}
	f.Restart(t)
	if r, err := w.receive(); err != nil || r.status != http.StatusOK || r.body == "gone" {
		t.Errorf("got %d %q, %v; want the function's answer", r.status, r.body, err)
	}
}
