package executor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// newClient returns a client that retries without much of a wait, unless o
// says otherwise.
func newClient(t *testing.T, o executor.Options) *executor.Client {
	t.Helper()
	if o.Backoff == nil {
		o.Backoff = func() backoff.BackOff {
			return backoff.WithMaxRetries(backoff.NewConstantBackOff(time.Millisecond), 4)
		}
	}
	c, err := executor.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// asError fails the test if err has no *executor.Error in it.
func asError(t *testing.T, err error) *executor.Error {
	t.Helper()
	e, ok := errors.AsType[*executor.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want an *executor.Error", err, err)
	}
	return e
}

func TestNewRefusesWrongOptions(t *testing.T) {
	for name, o := range map[string]executor.Options{
		"no url":                {},
		"no scheme":             {URL: "executor:8888"},
		"another scheme":        {URL: "ftp://executor"},
		"no host":               {URL: "http://:8888"},
		"a url that is none":    {URL: "http://exe cutor"},
		"port 0":                {URL: "http://executor:0"},
		"port 99999":            {URL: "http://executor:99999"},
		"a query":               {URL: "http://executor?x=1"},
		"a fragment":            {URL: "http://executor#x"},
		"an unknown api":        {URL: "http://executor", API: "v3"},
		"an impossible prefix":  {URL: "http://executor", SigningSecret: "s", HeaderPrefix: "a b"},
		"an api in upper case":  {URL: "http://executor", API: "V2"},
		"a control char in url": {URL: "http://executor\x7f"},
	} {
		if c, err := executor.New(o); err == nil {
			t.Errorf("%s: New gave %v; want an error", name, c)
		}
	}
}

func TestAddressesIsTheExecutorsAnswer(t *testing.T) {
	s := executortest.New(t)
	for answer, want := range map[string]string{
		"10.0.0.7:8888\n":  "10.0.0.7:8888",
		"10.0.0.7":         "10.0.0.7:80",
		"[2001:db8::1]:90": "[2001:db8::1]:90",
		"hello.default":    "hello.default:80",
	} {
		s.Answer("hello", executortest.At(answer))
		got, err := newClient(t, executor.Options{URL: s.URL}).Addresses(t.Context(), hello)
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("answer %q: got %v, %v; want [%s]", answer, got, err, want)
		}
	}
}

func TestAddressesKeepsAPathInTheURL(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("10.0.0.7:8888"))
	front := httptest.NewServer(http.StripPrefix("/base", s))
	defer front.Close()
	for _, path := range []string{"/base", "/base/"} {
		if _, err := newClient(t, executor.Options{URL: front.URL + path}).Addresses(t.Context(), hello); err != nil {
			t.Errorf("url with path %s: %v", path, err)
		}
	}
}

func TestAddressesTellsErrorsApart(t *testing.T) {
	s := executortest.New(t)
	var observed []string
	c := newClient(t, executor.Options{URL: s.URL, Observe: func(call, code string, _ time.Duration) {
		observed = append(observed, call+" "+code)
	}})
	for name, tc := range map[string]struct {
		answer     executortest.Answer
		status     int
		temporary  bool
		retryAfter time.Duration
		code       string
	}{
		"unreadable":        {executortest.Fail(400, "why"), 400, false, 0, "400"},
		"not found":         {executortest.Fail(404, "why"), 404, false, 0, "404"},
		"at a limit":        {executortest.Answer{Status: 429, Text: "why", Header: http.Header{"Retry-After": {"7"}}}, 429, false, 7 * time.Second, "429"},
		"internal":          {executortest.Fail(500, "why\n"), 500, false, 0, "500"},
		"bad gateway":       {executortest.Fail(502, "why"), 502, true, 0, "502"},
		"not the leader":    {executortest.Fail(503, "why"), 503, true, 0, "503"},
		"gateway timeout":   {executortest.Fail(504, "why"), 504, true, 0, "504"},
		"a redirect":        {executortest.Answer{Status: 307, Text: "why", Header: http.Header{"Location": {s.URL + "/healthz"}}}, 307, false, 0, "307"},
		"connection closed": {executortest.Answer{Abort: true}, 0, true, 0, "error"},
	} {
		s.Answer("hello", tc.answer)
		s.Reset()
		observed = nil
		got, err := c.Addresses(t.Context(), hello)
		e := asError(t, err)
		if got != nil || e.Status != tc.status || e.Temporary() != tc.temporary || e.RetryAfter != tc.retryAfter {
			t.Errorf("%s: got %v, status %d, temporary %v, retry after %v; want status %d, temporary %v, retry after %v",
				name, got, e.Status, e.Temporary(), e.RetryAfter, tc.status, tc.temporary, tc.retryAfter)
		}
		if tc.status != 0 && (e.Text != "why" || !strings.Contains(e.Error(), "why")) {
			t.Errorf("%s: got text %q and error %q; want the executor's text in both", name, e.Text, e)
		}
		if n := s.CallsFor("hello"); n != 1 {
			t.Errorf("%s: got %d calls, want 1: retrying is the caller's", name, n)
		}
		if want := []string{"getServiceForFunction " + tc.code}; !slices.Equal(observed, want) {
			t.Errorf("%s: observed %q, want %q", name, observed, want)
		}
	}
}

func TestAddressesRefusesWhatIsNoAddress(t *testing.T) {
	s := executortest.New(t)
	c := newClient(t, executor.Options{URL: s.URL})
	for name, text := range badAddresses {
		s.Answer("hello", executortest.At(text))
		got, err := c.Addresses(t.Context(), hello)
		e := asError(t, err)
		if got != nil || !e.BadAddress() || e.Temporary() || e.Unavailable() || e.Status != 200 {
			t.Errorf("%s: got %v, %v (status %d); want a bad address and status 200", name, got, err, e.Status)
		}
		if len(e.Text) > 1024 || len(e.Error()) > 1024 {
			t.Errorf("%s: text of %d and error of %d bytes; want at most 1024", name, len(e.Text), len(e.Error()))
		}
	}
}

func TestAnswersThatAreNoHTTPAreUnavailable(t *testing.T) {
	s := executortest.New(t)
	c := newClient(t, executor.Options{URL: s.URL})
	for name, raw := range map[string]string{
		"no HTTP":             "hello\r\n\r\n",
		"nothing":             "",
		"a body cut short":    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n10.0.0.7:8888",
		"a chunk cut short":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n10.0.0.7",
		"a header of 1 MB":    "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"a length that is no": "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n10.0.0.7:8888",
	} {
		s.Answer("hello", executortest.Answer{Handler: rawAnswer(raw)})
		got, err := c.Addresses(t.Context(), hello)
		if e := asError(t, err); got != nil || !e.Unavailable() || !e.Temporary() {
			t.Errorf("%s: got %v, %v; want it unavailable and temporary", name, got, err)
		}
	}
}

// rawAnswer writes raw on the connection and closes it.
func rawAnswer(raw string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte(raw))
	})
}

func TestAddressesOfAnExecutorThatIsDown(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("10.0.0.7:8888"))
	c := newClient(t, executor.Options{URL: s.URL})
	s.Stop()
	_, err := c.Addresses(t.Context(), hello)
	if e := asError(t, err); !e.Unavailable() || !e.Temporary() || !strings.Contains(e.Error(), "refused") {
		t.Errorf("stopped: got %v; want it unavailable, temporary, refused", err)
	}
	s.Restart()
	if _, err := c.Addresses(t.Context(), hello); err != nil {
		t.Errorf("restarted: %v", err)
	}
}

func TestAddressesEndsWithItsContext(t *testing.T) {
	s := executortest.New(t)
	hold := make(chan struct{})
	defer close(hold)
	s.Answer("hello", executortest.Answer{Until: hold})
	codes := make(chan string, 2)
	c := newClient(t, executor.Options{URL: s.URL, Observe: func(_, code string, _ time.Duration) { codes <- code }})

	canceled, cancel := context.WithCancel(t.Context())
	go func() {
		_ = s.WaitCalls(t.Context(), executor.CallAddress, 1)
		cancel()
	}()
	passed, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	for _, tc := range []struct {
		ctx  context.Context
		want error
	}{{canceled, context.Canceled}, {passed, context.DeadlineExceeded}} {
		_, err := c.Addresses(tc.ctx, hello)
		if e := asError(t, err); !errors.Is(err, tc.want) || e.Temporary() || e.Unavailable() {
			t.Errorf("got %v (temporary %v, unavailable %v); want %v and neither", err, e.Temporary(), e.Unavailable(), tc.want)
		}
		if got := <-codes; got != "canceled" {
			t.Errorf("observed %q, want canceled", got)
		}
	}
}

func TestHeadersOfACall(t *testing.T) {
	s := executortest.New(t)
	c := newClient(t, executor.Options{URL: s.URL, Version: "1.2.3"})
	ctx := executor.WithRequestID(t.Context(), "id-1")
	injected := http.Header{"Traceparent": {"00-a-b-01"}, "User-Agent": {"forged"}, "X-Request-Id": {"forged"}}
	ctx = executor.WithHeader(ctx, injected)
	injected.Set("Traceparent", "changed later")
	_, _ = c.Addresses(ctx, hello)
	_, _ = c.Addresses(executor.WithRequestID(t.Context(), "bad\r\nid"), hello)
	_, _ = c.Addresses(executor.WithRequestID(t.Context(), strings.Repeat("x", 1025)), hello)

	calls := s.Record()
	if len(calls) != 3 {
		t.Fatalf("got %d calls, want 3: no request id makes a call fail", len(calls))
	}
	for name, want := range map[string]string{
		"X-Request-Id":              "id-1",
		"Traceparent":               "00-a-b-01",
		"User-Agent":                "caddy-kubefaas/1.2.3",
		"Content-Type":              "application/json",
		"Accept-Encoding":           "",
		"X-Kubefaas-Auth-Signature": "",
	} {
		if got := calls[0].Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	for _, call := range calls[1:] {
		if got, ok := call.Header["X-Request-Id"]; ok {
			t.Errorf("X-Request-Id = %q, want none", got)
		}
	}
}

func TestCallsAreSignedWithTheSecret(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("10.0.0.7:8888"))
	s.AnswerCapacity("hello", executortest.At("10.0.0.7:8888"))
	s.RequireSignature("s3cret", "Acme")
	c := newClient(t, executor.Options{URL: s.URL, SigningSecret: "s3cret", HeaderPrefix: "acme"})
	_, addressErr := c.Addresses(t.Context(), hello)
	_, capacityErr := c.EnsureCapacity(t.Context(), hello, 1, 1)
	tap := executor.Tap{Function: hello, Address: "10.0.0.7:8888"}
	if err := errors.Join(addressErr, capacityErr, c.Healthy(t.Context()),
		c.Tap(t.Context(), []executor.Tap{tap}), c.Untap(t.Context(), tap)); err != nil {
		t.Errorf("signed calls: %v", err)
	}

	for name, o := range map[string]executor.Options{
		"no secret":      {},
		"another secret": {SigningSecret: "secret", HeaderPrefix: "Acme"},
		"another prefix": {SigningSecret: "s3cret"},
		"a wrong clock":  {SigningSecret: "s3cret", HeaderPrefix: "Acme", Now: func() time.Time { return time.Now().Add(-time.Hour) }},
	} {
		o.URL = s.URL
		_, err := newClient(t, o).Addresses(t.Context(), hello)
		if e := asError(t, err); e.Status != http.StatusUnauthorized {
			t.Errorf("%s: got %v, want 401", name, err)
		}
	}
}

func TestHTTPSWithOwnRoots(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("10.0.0.7:8888"))
	front := httptest.NewTLSServer(s)
	defer front.Close()
	roots := x509.NewCertPool()
	roots.AddCert(front.Certificate())
	c := newClient(t, executor.Options{URL: front.URL, TLS: &tls.Config{RootCAs: roots}})
	if _, err := c.Addresses(t.Context(), hello); err != nil {
		t.Errorf("known root: %v", err)
	}
	_, err := newClient(t, executor.Options{URL: front.URL}).Addresses(t.Context(), hello)
	if e := asError(t, err); !e.Unavailable() {
		t.Errorf("unknown root: got %v, want it unavailable", err)
	}
}

func TestHealthyIsTheExecutorsWord(t *testing.T) {
	s := executortest.New(t)
	c := newClient(t, executor.Options{URL: s.URL})
	if err := c.Healthy(t.Context()); err != nil {
		t.Errorf("healthy: %v", err)
	}
	s.AnswerHealth(executortest.Fail(503, "starting"))
	s.Reset()
	if e := asError(t, c.Healthy(t.Context())); e.Status != 503 || s.Calls(executor.CallHealth) != 1 {
		t.Errorf("unhealthy: got %v after %d calls, want 503 after 1", e, s.Calls(executor.CallHealth))
	}
}

func TestCallsShareIdleConnections(t *testing.T) {
	s := executortest.New(t)
	var mu sync.Mutex
	remotes := map[string]bool{}
	s.Answer("hello", executortest.Answer{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		remotes[r.RemoteAddr] = true
		mu.Unlock()
		fmt.Fprint(w, "10.0.0.7:8888")
	})})
	c := newClient(t, executor.Options{URL: s.URL})
	const callers, rounds = 32, 8
	for range rounds {
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				if _, err := c.Addresses(t.Context(), hello); err != nil {
					t.Errorf("Addresses: %v", err)
				}
			})
		}
		wg.Wait()
	}
	// A connection is handed back just after the answer is read, so a round
	// may open a few more than it needs.
	if got := len(remotes); got > 2*callers {
		t.Errorf("%d rounds of %d calls used %d connections; want about %d", rounds, callers, got, callers)
	}
}
