package caddytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// exampleTimeout bounds one request to an example: its function may have to be
// compiled first, while other tests compete for the CPU.
const exampleTimeout = 4 * time.Minute

// exampleCalls are what each file of examples/ is run with, and what its header
// promises. A file that is not here fails the test.
var exampleCalls = map[string]struct {
	needs string // the program that its functions need
	calls []exampleCall
}{
	"quickstart.caddyfile": {"go", []exampleCall{
		{path: "/hello/world", body: "Hello, world!\n", header: "X-Kubefaas-Cold: true"},
		{path: "/hello/world", body: "Hello, world!\n", header: "X-Kubefaas-Cold: false"},
		{path: "/elsewhere", status: http.StatusNotFound, body: `"reason":"no_route"`},
	}},
	"python.caddyfile": {"python3", []exampleCall{{path: "/hello/world", body: "Hello from Python, world!\n"}}},
	"node.caddyfile":   {"node", []exampleCall{{path: "/hello/world", body: "Hello from Node, world!\n"}}},
	"shell.caddyfile":  {"sh", []exampleCall{{path: "/hello", body: ", default/hello!"}}},
	"executor.caddyfile": {"", []exampleCall{
		{path: "/hello", body: "Hello from default/hello\n"},
		{path: "/other", status: http.StatusBadGateway, body: `"reason":"function_not_found"`},
		{path: "/readyz"},
	}},
	"canary.caddyfile": {"", []exampleCall{{path: "/checkout", body: "version ", header: "Set-Cookie: kf="}}},
	"reverse_proxy.caddyfile": {"", []exampleCall{
		{path: "/hello", body: "you asked for /hello\n", header: "X-Via: reverse_proxy"},
	}},
}

// exampleCall is a GET request and what comes back.
type exampleCall struct {
	path   string
	status int    // default: 200
	body   string // contained in the body
	header string // the beginning of a line of the header
}

func TestExamplesAreFormattedExplainedAndValid(t *testing.T) {
	t.Chdir("..")
	paths, err := filepath.Glob("examples/*.caddyfile")
	if err != nil || len(paths) == 0 {
		t.Fatalf("found %d examples (%v), want some", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if _, ok := exampleCalls[filepath.Base(path)]; !ok {
				t.Error("no test runs it")
			}
			text := readExample(t, path)
			header, _, _ := strings.Cut(text, "{")
			for _, want := range []string{"# What:", "# Run:", "# See:", path} {
				if !strings.Contains(header, want) {
					t.Errorf("the comment above it has no %q", want)
				}
			}
			if got := string(caddyfile.Format([]byte(text))); got != text {
				t.Errorf("it is not as `caddy fmt` writes it; want\n%s", got)
			}
			config, err := Adapt(path, text)
			if err != nil {
				t.Fatal(err)
			}
			if err := Validate(t, config); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExamplesAnswerAsTheySay(t *testing.T) {
	t.Chdir("..") // their paths begin at the repository
	putCaddyInPath(t)
	setHome(t)
	for _, name := range slices.Sorted(maps.Keys(exampleCalls)) {
		example := exampleCalls[name]
		t.Run(name, func(t *testing.T) {
			if example.needs != "" {
				if _, err := exec.LookPath(example.needs); err != nil {
					t.Logf("LEFT OUT: %s is not run, since %s is not on this machine", name, example.needs)
					return
				}
			}
			c := Start(t, Caddyfile(onFreePorts(t, readExample(t, "examples/"+name))))
			for _, call := range example.calls {
				call.check(t, c)
			}
		})
	}
}

// The canary's clients stay where they are, and both versions have some.
func TestCanaryExampleKeepsClients(t *testing.T) {
	c := Start(t, Caddyfile(onFreePorts(t, readExample(t, "../examples/canary.caddyfile"))))
	seen := make(map[string]int)
	for i := range 200 {
		cookie := http.Header{"Cookie": {fmt.Sprintf("kf=client-%d", i)}}
		_, first := exampleGet(t, c, "/checkout", cookie)
		_, again := exampleGet(t, c, "/checkout", cookie)
		if first != again {
			t.Errorf("client %d: got %q and then %q, want the same", i, first, again)
		}
		seen[first]++
	}
	if v1, v2 := seen["version 1\n"], seen["version 2\n"]; v1+v2 != 200 || v2 == 0 || v1 <= v2 {
		t.Errorf("got answers %v, want some of version 2 and many more of version 1", seen)
	}
}

// The steps of examples/README.md: POST /load, then PATCH /id/<trigger>.
func TestJSONExampleIsLoadedAndPatched(t *testing.T) {
	t.Chdir("..")
	setHome(t)
	if _, err := exec.LookPath("go"); err != nil {
		t.Log("LEFT OUT: admin.json is not run, since go is not on this machine")
		return
	}
	c := Start(t, JSON(`{}`))
	if err := c.Reload(t, JSON(onFreePorts(t, readExample(t, "examples/admin.json")))); err != nil {
		t.Fatal(err)
	}
	exampleCall{path: "/hello/world", body: "Hello, world!\n"}.check(t, c)
	status, answer := c.Admin(t, http.MethodPatch, "/id/greet/functions", `[{"name": "hallo"}]`)
	if status != http.StatusOK {
		t.Fatalf("PATCH /id/greet/functions: got status %d, want 200: %s", status, answer)
	}
	// What is left of the server before may answer for a moment: connections that
	// are kept, or that it had accepted already.
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		c.Client().CloseIdleConnections()
		if _, body := exampleGet(t, c, "/hello/world", nil); strings.Contains(body, "Hallo") {
			break
		}
	}
	exampleCall{path: "/hello/world", body: "Hallo, world!\n"}.check(t, c)
	if status, answer = c.Admin(t, http.MethodPatch, "/id/greet/functions", `[]`); status == http.StatusOK {
		t.Errorf("PATCH with no function: got status %d, want it refused: %s", status, answer)
	}
	exampleCall{path: "/hello/world", body: "Hallo, world!\n"}.check(t, c)
}

func TestCaddyfilesInReadmesAreValid(t *testing.T) {
	block := regexp.MustCompile("(?s)```caddyfile\n(.*?)```")
	for _, path := range []string{"../README.md", "../examples/README.md"} {
		for i, m := range block.FindAllStringSubmatch(readExample(t, path), -1) {
			t.Run(fmt.Sprintf("%s %d", path, i+1), func(t *testing.T) {
				if got := string(caddyfile.Format([]byte(m[1]))); got != m[1] {
					t.Errorf("it is not as `caddy fmt` writes it; want\n%s", got)
				}
				config, err := Adapt("README", m[1])
				if err != nil {
					t.Fatal(err)
				}
				if err := Validate(t, config); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// README's first Caddyfile is the site of the quickstart that it runs next.
func TestReadmeShowsTheQuickstart(t *testing.T) {
	_, rest, _ := strings.Cut(readExample(t, "../README.md"), "```caddyfile\n")
	shown, _, _ := strings.Cut(rest, "```")
	if lines := strings.Count(shown, "\n"); lines != 6 {
		t.Errorf("README's first Caddyfile has %d lines, want 6", lines)
	}
	if !strings.HasSuffix(readExample(t, "../examples/quickstart.caddyfile"), "\n"+shown) {
		t.Errorf("README shows\n%s\nwant the end of the quickstart", shown)
	}
}

func (e exampleCall) check(t *testing.T, c *Caddy) {
	t.Helper()
	resp, body := exampleGet(t, c, e.path, nil)
	want := e.status
	if want == 0 {
		want = http.StatusOK
	}
	if resp.StatusCode != want || !strings.Contains(body, e.body) {
		t.Errorf("GET %s: got status %d and %q, want %d and %q in it", e.path, resp.StatusCode, body, want, e.body)
	}
	name, value, _ := strings.Cut(e.header, ": ")
	if got := resp.Header.Get(name); !strings.HasPrefix(got, value) {
		t.Errorf("GET %s: got the header %s: %q, want it to begin with %q", e.path, name, got, value)
	}
}

func exampleGet(t *testing.T, c *Caddy, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), exampleTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := c.Client().Do(req)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
		// After a change of configuration Caddy closes the listener of the one
		// before: the kernel resets what that had not accepted yet, and Caddy ends
		// what it had accepted and not read.
		resp, err = c.Client().Do(req)
	}
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: reading the body: %v", path, err)
	}
	return resp, string(body)
}

func readExample(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// onFreePorts gives an example the test's port for its site, and free ones for
// what it plays besides.
func onFreePorts(t *testing.T, text string) string {
	t.Helper()
	text = strings.ReplaceAll(text, ":8080", ":{{.HTTP}}")
	for _, port := range []string{":8001", ":8002", ":8888"} {
		if !strings.Contains(text, port) {
			continue
		}
		free, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, port, fmt.Sprintf(":%d", free))
	}
	return text
}

// putCaddyInPath makes this test binary the `caddy` that functions find.
func putCaddyInPath(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=%s %s=1 exec '%s' \"$@\"\n", roleEnv, roleCaddy, aloneEnv, self)
	if err := os.WriteFile(filepath.Join(dir, "caddy"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// setHome gives `go run` a place for its cache where the machine has none.
func setHome(t *testing.T) {
	t.Helper()
	if os.Getenv("HOME") == "" {
		t.Setenv("HOME", t.TempDir())
	}
}
