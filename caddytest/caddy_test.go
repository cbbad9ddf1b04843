package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// responding is a site that answers text on every path.
func responding(text string) Config {
	return Caddyfile(fmt.Sprintf("http://:{{.HTTP}} {\n\trespond %q\n}\n", text))
}

// get returns the status and body of a GET, or fails the test.
func get(t *testing.T, c *Caddy, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Client().Do(req)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: reading the body: %v", path, err)
	}
	return resp.StatusCode, string(body)
}

func wantBody(t *testing.T, c *Caddy, path, want string) {
	t.Helper()
	if status, body := get(t, c, path); status != http.StatusOK || body != want {
		t.Errorf("GET %s: got %d %q, want 200 %q", path, status, body, want)
	}
}

// Both ways to run Caddy give the same thing to a test.
func TestCaddyStartsReloadsAndRefuses(t *testing.T) {
	for name, opts := range map[string][]Option{
		"inside the test process":    nil,
		"as a process of its own":    {Process()},
		"with an environment of its": {Process(), Env("CADDYTEST_WORD=x")},
	} {
		t.Run(name, func(t *testing.T) {
			c := Start(t, responding("one"), opts...)
			wantBody(t, c, "/", "one")

			if err := c.Reload(t, responding("two")); err != nil {
				t.Fatalf("reload: %v", err)
			}
			wantBody(t, c, "/", "two")

			bad := map[string]struct {
				cfg  Config
				want string
			}{
				"a wrong word in a Caddyfile":      {Caddyfile("{\n\tdebug\n}\nhttp://:{{.HTTP}} {\n\tresponse x\n}\n"), "Caddyfile:5"},
				"a wrong key in JSON":              {JSON(`{"apps": {"http": {"servers": {"a": {"listen": [":{{.HTTP}}"], "rutes": []}}}}}`), "rutes"},
				"text that is not JSON":            {JSON(`{`), "JSON"},
				"a module that cannot be had":      {JSON(`{"apps": {"nothing": {}}}`), "nothing"},
				"an address that cannot be had":    {JSON(`{"apps": {"http": {"servers": {"a": {"listen": ["192.0.2.1:{{.HTTP}}"]}}}}}`), "192.0.2.1"},
				"a Caddyfile with an open bracket": {Caddyfile("http://:{{.HTTP}} {\n"), "Caddyfile:"},
			}
			for name, test := range bad {
				err := c.Reload(t, test.cfg)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
				}
				wantBody(t, c, "/", "two")
			}
		})
	}
}

func TestCaddyTakesJSON(t *testing.T) {
	c := Start(t, JSON(`{"apps": {"http": {"servers": {"s": {
		"listen": [":{{.HTTP}}"],
		"routes": [{"@id": "it", "handle": [{"handler": "static_response", "body": "json"}]}]
	}}}}}`))
	wantBody(t, c, "/", "json")

	status, answer := c.Admin(t, http.MethodPatch, "/id/it", `{"@id": "it", "handle": [{"handler": "static_response", "body": "patched"}]}`)
	if status != http.StatusOK {
		t.Fatalf("PATCH: got status %d %s, want 200", status, answer)
	}
	wantBody(t, c, "/", "patched")
}

func TestCaddyListensOnLoopbackOnly(t *testing.T) {
	c := Start(t, responding("x"))
	status, config := c.Admin(t, http.MethodGet, "/config/apps/http/servers/srv0/listen", "")
	want := fmt.Sprintf(`["127.0.0.1:%d"]`, c.HTTPPort())
	if status != http.StatusOK || strings.TrimSpace(config) != want {
		t.Errorf("got listeners %d %s, want %s", status, config, want)
	}
}

func TestCaddyKeepsTheOptionsOfTheTest(t *testing.T) {
	cfg := Caddyfile("{\n\tgrace_period 7s\n\tdefault_bind localhost\n}\nhttp://:{{.HTTP}} {\n\trespond x\n}\n")
	c := Start(t, cfg)
	for path, want := range map[string]string{
		"/config/apps/http/grace_period":        fmt.Sprint(int64(7 * time.Second)),
		"/config/apps/http/servers/srv0/listen": fmt.Sprintf(`["localhost:%d"]`, c.HTTPPort()),
	} {
		if _, got := c.Admin(t, http.MethodGet, path, ""); strings.TrimSpace(got) != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestClientReachesCaddyUnderAnyHost(t *testing.T) {
	c := Start(t, Caddyfile("http://shop.example.com:{{.HTTP}} {\n\trespond {host}\n}\n"))
	resp, err := c.Client().Get(fmt.Sprintf("http://shop.example.com:%d/", c.HTTPPort()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "shop.example.com" {
		t.Errorf("got body %q, want the host", body)
	}
}

func TestCaddyLogIsCaptured(t *testing.T) {
	for name, opts := range map[string][]Option{"inside": nil, "process": {Process()}} {
		t.Run(name, func(t *testing.T) {
			c := Start(t, Caddyfile("http://:{{.HTTP}} {\n\tlog\n\trespond hello\n}\n"), opts...)
			get(t, c, "/find-me")
			entry := c.WaitLog(t, "/find-me", 10*time.Second)
			if entry.Msg != "handled request" || entry.Level != "info" || entry.Fields["status"] != 200.0 {
				t.Errorf("got entry %+v, want the access log's", entry)
			}
			var times int
			for _, entry := range c.Logs() {
				if strings.Contains(entry.Raw, "/find-me") {
					times++
				}
			}
			if times != 1 || len(c.Logs()) < 2 {
				t.Errorf("got the entry %d times among %d, want once, and those of the start", times, len(c.Logs()))
			}
		})
	}
}

func TestCaddyLogIsCapturedThoughItGoesToAFile(t *testing.T) {
	file := t.TempDir() + "/caddy.log"
	c := Start(t, Caddyfile("{\n\tlog {\n\t\toutput file "+file+"\n\t}\n}\nhttp://:{{.HTTP}} {\n\tlog\n\trespond hello\n}\n"))
	get(t, c, "/find-me")
	c.WaitLog(t, "/find-me", 10*time.Second)
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "server running") {
		t.Errorf("got %q and %v in the test's own log file, want the default log", text, err)
	}
}

func TestMetricsAreParsed(t *testing.T) {
	c := Start(t, Caddyfile("{\n\tmetrics\n}\nhttp://:{{.HTTP}} {\n\trespond hello\n}\n"))
	get(t, c, "/")
	get(t, c, "/")
	m := c.Metrics(t)
	if got := m.Sum("caddy_http_requests_total", "handler", "static_response"); got < 2 {
		t.Errorf("got %v requests counted, want 2 or more; families: %v", got, m.Names("caddy_"))
	}
	if m.Has("caddy_http_requests_total", "handler", "no such handler") {
		t.Error("got a series for a handler that is not there")
	}
}

func TestProcessIsKilled(t *testing.T) {
	c := Start(t, responding("x"), Process())
	if rss := c.RSS(t); rss < 1<<20 {
		t.Errorf("got %d bytes resident, want a Caddy's", rss)
	}
	if n := c.Goroutines(t); n < 5 {
		t.Errorf("got %d goroutines, want a Caddy's", n)
	}
	if m := c.Memory(t); m.HeapAlloc == 0 || m.HeapInuse < m.HeapAlloc || m.StackInuse == 0 {
		t.Errorf("got memory %+v, want all fields set", m)
	}
	c.Kill(t)
	if code := c.WaitExit(t, time.Second); code != -1 {
		t.Errorf("got exit code %d, want -1: killed", code)
	}
	if resp, err := c.Client().Get(c.URL("/")); err == nil {
		_ = resp.Body.Close()
		t.Error("got an answer from a killed Caddy")
	}
}

func TestProcessStopsOnSignal(t *testing.T) {
	c := Start(t, responding("x"), Process())
	c.Signal(t, syscall.SIGTERM)
	if code := c.WaitExit(t, 30*time.Second); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
}

func TestNothingIsLeftOfAnInsideCaddy(t *testing.T) {
	t.Run("warm up what lives once per process", func(t *testing.T) { Start(t, responding("x")) })
	NoLeak(t, func() {
		t.Run("one Caddy", func(t *testing.T) {
			c := Start(t, responding("x"))
			get(t, c, "/")
		})
	})
}

func TestTwoCaddiesRunSideBySide(t *testing.T) {
	a := Start(t, responding("inside"))
	b := Start(t, responding("outside"), Process())
	wantBody(t, a, "/", "inside")
	wantBody(t, b, "/", "outside")
}

func TestValidateProvisions(t *testing.T) {
	good := `{"apps": {"http": {"servers": {"s": {"routes": [{"handle": [{"handler": "static_response"}]}]}}}}}`
	if err := Validate(t, []byte(good)); err != nil {
		t.Errorf("got %v for a good configuration, want nil", err)
	}
	bad := strings.ReplaceAll(good, "static_response", "no_such_handler")
	if err := Validate(t, []byte(bad)); err == nil || !strings.Contains(err.Error(), "no_such_handler") {
		t.Errorf("got %v for an unknown handler, want an error that names it", err)
	}
}

func TestCLIRunsCaddysCommands(t *testing.T) {
	out, _, code := CLI(t, "list-modules")
	if code != 0 || !strings.Contains(out, "http.handlers.reverse_proxy") {
		t.Errorf("list-modules: got code %d, want 0 and the standard modules:\n%s", code, out)
	}
	file := t.TempDir() + "/bad.caddyfile"
	if err := os.WriteFile(file, []byte(":80 {\n\tresponse\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := CLI(t, "adapt", "--adapter", "caddyfile", "--config", file)
	if code == 0 || !strings.Contains(stderr, "bad.caddyfile:2") {
		t.Errorf("adapt: got code %d and %q, want an error with file and line", code, stderr)
	}
}
