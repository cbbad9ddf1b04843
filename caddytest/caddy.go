package caddytest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	// startTimeout bounds how long a Caddy may take until its admin endpoint
	// answers; generous, since other tests compete for the CPU.
	startTimeout = 60 * time.Second
	// portTries is how often another process may snatch one of our ports.
	portTries = 5
	// failureLogLines is how much of Caddy's log a failed test shows.
	failureLogLines = 60
)

// Caddy is a running Caddy that belongs to one test and ends with it.
type Caddy struct {
	in     instance
	logs   *logBuffer
	client *http.Client
	admin  *http.Client

	process *process // nil when Caddy runs inside the test process
	release func()   // ends an in-process Caddy; idempotent
}

// settings is what options change.
type settings struct {
	process bool
	env     []string
}

// Option changes how a Caddy is started.
type Option func(*settings)

// Process starts Caddy as a process of its own, so that it can be killed,
// signalled and measured. Without it, Caddy runs inside the test process, which
// is faster, one at a time: the next test's Start waits for this one's end.
func Process() Option { return func(s *settings) { s.process = true } }

// Env adds environment variables ("NAME=value") for a Caddy of [Process]. For
// one inside the test process use t.Setenv.
func Env(vars ...string) Option {
	return func(s *settings) { s.env = append(s.env, vars...) }
}

// Start runs a Caddy with cfg on free loopback ports until the test ends. It
// returns when the admin endpoint answers, by which time the configuration is
// in force. If Caddy does not start, the test fails with the reason and the log.
func Start(t testing.TB, cfg Config, opts ...Option) *Caddy {
	t.Helper()
	var s settings
	for _, opt := range opts {
		opt(&s)
	}
	if !s.process && len(s.env) > 0 {
		t.Fatal("caddytest: Env needs Process()")
	}
	c := &Caddy{logs: newLogBuffer()}
	start := c.startInside
	if s.process {
		start = c.startProcess
	} else {
		c.claim(t)
	}
	storage := t.TempDir()

	var err error
	for range portTries {
		if err = start(t, cfg, s, storage); err == nil || !c.lostPort(err) {
			break
		}
		c.Stop()
	}
	if err != nil {
		log := c.logs.tail(failureLogLines)
		c.Stop()
		t.Fatalf("caddytest: starting Caddy: %v\n%s", err, indentLog(log))
	}
	c.makeClients()
	t.Cleanup(func() {
		c.client.CloseIdleConnections()
		c.Stop()
		if t.Failed() {
			t.Logf("Caddy's log, last lines:\n%s", indentLog(c.logs.tail(failureLogLines)))
		}
	})
	return c
}

// lostPort reports whether a start failed because a port was taken between
// its choice and its use.
func (c *Caddy) lostPort(err error) bool {
	const inUse = "address already in use"
	return strings.Contains(err.Error(), inUse) || strings.Contains(c.logs.tail(failureLogLines), inUse)
}

// URL returns the address of path on Caddy's HTTP port.
func (c *Caddy) URL(path string) string { return "http://" + c.Addr() + path }

// Addr returns Caddy's HTTP listener as host:port.
func (c *Caddy) Addr() string { return fmt.Sprintf("127.0.0.1:%d", c.in.httpPort) }

// HTTPPort returns the port that {{.HTTP}} stands for.
func (c *Caddy) HTTPPort() int { return c.in.httpPort }

// HTTPSPort returns the port that {{.HTTPS}} stands for.
func (c *Caddy) HTTPSPort() int { return c.in.httpsPort }

// Client returns this Caddy's own HTTP client. It dials loopback whatever host
// the URL names, so that routes by host can be tested; it keeps connections
// alive, follows no redirects, stores no cookies, asks for no compression, and
// has no time-out of its own: pass a context to requests that may hang.
func (c *Caddy) Client() *http.Client { return c.client }

// Logs returns what Caddy has logged so far, oldest first.
func (c *Caddy) Logs() []LogEntry {
	lines, _, _ := c.logs.since(0)
	entries := make([]LogEntry, 0, len(lines))
	for _, line := range lines {
		entries = append(entries, parseEntry(line))
	}
	return entries
}

// WaitLog returns the first log entry whose line contains substr, whether it is
// there already or comes within timeout; the test fails if it does not.
func (c *Caddy) WaitLog(t testing.TB, substr string, timeout time.Duration) LogEntry {
	t.Helper()
	line, ok := c.logs.wait(substr, timeout)
	if !ok {
		t.Fatalf("no log line with %q after %v; the log ends:\n%s",
			substr, timeout, indentLog(c.logs.tail(failureLogLines)))
	}
	return parseEntry(line)
}

// Stop ends Caddy the orderly way and waits for it: a process gets SIGTERM. It
// may be called more than once, and the end of the test calls it too.
func (c *Caddy) Stop() {
	if c.process != nil {
		c.process.stop()
		return
	}
	c.release()
}

// makeClients builds the clients for requests and for the admin endpoint.
func (c *Caddy) makeClients() {
	c.client = &http.Client{
		Transport: &http.Transport{
			DialContext:         loopbackDial,
			MaxIdleConnsPerHost: 4096,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.admin = newAdminClient()
}

// loopbackDial connects to the port of addr on 127.0.0.1, whatever its host.
func loopbackDial(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
}

func indentLog(log string) string {
	if log == "" {
		return "\t(no log)"
	}
	return "\t" + strings.ReplaceAll(log, "\n", "\n\t")
}
