package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"
)

// reports is a receiver of usage reports.
type reports struct {
	mu     sync.Mutex
	bodies []string
	faults []string
	status int
}

// ServeHTTP implements http.Handler.
func (r *reports) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" || req.URL.Path != "/in" {
		r.faults = append(r.faults, fmt.Sprint(req.Method, req.URL, req.Header, err))
	}
	r.bodies = append(r.bodies, string(body))
	w.WriteHeader(r.status)
}

func (r *reports) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...)
}

// await waits for n reports in all.
func (r *reports) await(t *testing.T, n int) []string {
	t.Helper()
	Eventually(t, patience, func() bool { return len(r.seen()) >= n },
		func() string { return fmt.Sprintf("got %d reports, want %d", len(r.seen()), n) })
	return r.seen()
}

var report = regexp.MustCompile(`^\{"ID":"([0-9A-Za-z]{8})","FunctionCallCount":([0-9]+)\}$`)

// readReport returns the id and the count of a report.
func readReport(t *testing.T, body string) (id string, count int) {
	t.Helper()
	parts := report.FindStringSubmatch(body)
	if parts == nil {
		t.Fatalf("got report %q, want one like %s", body, report)
	}
	_, _ = fmt.Sscan(parts[2], &count)
	return parts[1], count
}

func startReporting(t *testing.T, r *reports) (c *Caddy, config func(analytics string) Config) {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	f := NewFunction(t)
	config = func(interval string) Config {
		line := ""
		if interval != "" {
			line = "analytics " + server.URL + "/in " + interval
		}
		return Caddyfile(fmt.Sprintf("{\n\tkubefaas {\n\t\texecutor static {\n\t\t\thello %s\n\t\t}\n\t\t%s\n\t}\n}\nhttp://:{{.HTTP}} {\n\tkubefaas /hello hello\n}\n", f.Addr(), line))
	}
	return Start(t, config("100ms"), Process()), config
}

func TestAnalyticsReportTheCalls(t *testing.T) {
	r := &reports{status: http.StatusOK}
	c, config := startReporting(t, r)
	first, none := readReport(t, r.await(t, 1)[0])
	if none != 0 {
		t.Errorf("got %d calls before there was one, want 0", none)
	}
	for range 3 {
		get(t, c, "/hello")
	}
	n := len(r.seen())
	id, count := readReport(t, r.await(t, n+2)[n+1])
	if count != 3 || id != first {
		t.Errorf("got %d calls of %q, want 3 of %q", count, id, first)
	}

	if err := c.Reload(t, config("100ms")); err != nil {
		t.Fatal(err)
	}
	get(t, c, "/hello")
	n = len(r.seen())
	if id, count = readReport(t, r.await(t, n+2)[n+1]); count != 4 || id != first {
		t.Errorf("after a reload: got %d calls of %q, want 4 of %q", count, id, first)
	}

	if err := c.Reload(t, config("")); err != nil {
		t.Fatal(err)
	}
	n = len(r.seen())
	time.Sleep(300 * time.Millisecond)
	if got := len(r.seen()); got > n+1 { // one may have been on its way
		t.Errorf("got %d more reports without analytics, want none", got-n)
	}
	if len(r.faults) > 0 {
		t.Errorf("got requests %q, want POSTs of JSON", r.faults)
	}
}

// Reloads that come more often than reports do not put these off.
func TestAnalyticsComeThoughReloadsComeMoreOften(t *testing.T) {
	r := &reports{status: http.StatusInternalServerError} // it makes no difference
	c, config := startReporting(t, r)
	r.await(t, 1)
	if err := c.Reload(t, config("1500ms")); err != nil {
		t.Fatal(err)
	}
	n := len(r.seen())
	reloads := 0
	for end := time.Now().Add(patience); len(r.seen()) == n && time.Now().Before(end); reloads++ {
		if err := c.Reload(t, config("1500ms")); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(r.seen()); got == n || reloads < 2 {
		t.Errorf("got %d reports and %d reloads, want a report in between", got-n, reloads)
	}
}
