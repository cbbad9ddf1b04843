package invoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/h1"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// addresses is an executor that gives one address after the other, the last
// again and again.
type addresses struct {
	list  []string
	calls atomic.Int32
}

func (a *addresses) Addresses(context.Context, *function.Function) ([]string, error) {
	n := int(a.calls.Add(1)) - 1
	return []string{a.list[min(n, len(a.list)-1)]}, nil
}

// sends is a Sender made of a function, which is told the attempt's number.
type sends func(n int, req *http.Request) (*http.Response, error)

type scriptedSender struct {
	send sends
	n    int
}

func (s *scriptedSender) Send(req *http.Request, _ SendOptions) (*http.Response, error) {
	s.n++
	return s.send(s.n, req)
}

func answer(text string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
}

var refused = &DialError{Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}

// listener accepts and closes, so that an address passes the readiness probe.
func listener(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func newInvoker(t *testing.T) *Invoker {
	t.Helper()
	pool := endpoint.New(endpoint.Options{})
	t.Cleanup(pool.Close)
	return &Invoker{Endpoints: pool, Held: new(Budget)}
}

func exchangeOf(ex endpoint.Executor, s Sender) *Exchange {
	policy := retry.Policy{InitialInterval: time.Millisecond, MaxAttempts: 4}
	return &Exchange{
		Function: &function.Function{Ref: function.Ref{Namespace: "default", Name: "hello"}},
		Executor: ex, Sender: s, SendOptions: SendOptions{Timeout: time.Second},
		Policy: &Policy{
			Retry: policy, MaxReplayBody: 64, MaxWaitingBytes: 1000,
			Endpoint: &endpoint.Settings{ColdStartTimeout: 2 * time.Second},
		},
	}
}

func post(t *testing.T, x *Exchange, text string) *http.Request {
	t.Helper()
	req := get(t)
	req.Method = http.MethodPost
	req.ContentLength = int64(len(text))
	x.Body = NewBody(io.NopCloser(strings.NewReader(text)), req.ContentLength, x.Policy.MaxReplayBody)
	return req
}

func get(t *testing.T) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nowhere/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestARefusedAddressIsAskedForAgain(t *testing.T) {
	a, b := listener(t), listener(t)
	ex := &addresses{list: []string{a, b}}
	s := &scriptedSender{send: func(n int, req *http.Request) (*http.Response, error) {
		if n == 1 {
			return nil, refused
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || string(body) != "payload" {
			t.Errorf("attempt %d has the body %q, %v", n, body, err)
		}
		return answer("ok from " + req.URL.Host), nil
	}}
	i := newInvoker(t)
	x := exchangeOf(ex, s)
	resp, err := i.RoundTrip(post(t, x, "payload"), x)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(resp.Body); string(text) != "ok from "+b {
		t.Errorf("the answer is %q, want it from the second address %s", text, b)
	}
	if x.Attempts != 2 || x.Address != b || ex.calls.Load() != 2 {
		t.Errorf("attempts %d at %s, %d calls; want 2 at %s, 2 calls", x.Attempts, x.Address, ex.calls.Load(), b)
	}
	if n := inFlight(i); n != 0 {
		t.Errorf("%d places are taken after the response's end, want 0", n)
	}
}

func TestARequestThatWasSentIsNotSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		outcome retry.Outcome
	}{
		"reset on a new connection":   {&h1.Error{Written: true, Err: syscall.ECONNRESET}, retry.Sent},
		"death of a kept one, sent":   {&h1.Error{Reused: true, Written: true, Err: io.EOF}, retry.Sent},
		"an error of unknown meaning": {errors.New("boom"), retry.Sent},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scriptedSender{send: func(_ int, req *http.Request) (*http.Response, error) {
				_, _ = io.ReadAll(req.Body)
				return nil, c.err
			}}
			i := newInvoker(t)
			x := exchangeOf(&addresses{list: []string{listener(t)}}, s)
			_, err := i.RoundTrip(post(t, x, "payload"), x)
			var attempt *AttemptError
			if !errors.As(err, &attempt) || attempt.Outcome != c.outcome || !errors.Is(err, c.err) {
				t.Errorf("the error is %v, want an AttemptError of outcome %v around %v", err, c.outcome, c.err)
			}
			if s.n != 1 {
				t.Errorf("sent %d times, want once", s.n)
			}
			if n := inFlight(i); n != 0 {
				t.Errorf("%d places are taken, want 0", n)
			}
		})
	}
}

func TestAKeptConnectionThatDiedIsReplacedWhereThatIsSafe(t *testing.T) {
	dead := &h1.Error{Reused: true, Written: true, Err: io.EOF}
	unsent := &h1.Error{Reused: true, Written: false, Err: syscall.EPIPE}
	for name, c := range map[string]struct {
		err    error
		method string
		key    bool
		sent   int
	}{
		"GET":                            {dead, http.MethodGet, false, 2},
		"POST, sent":                     {dead, http.MethodPost, false, 1},
		"POST, sent, with a key":         {dead, http.MethodPost, true, 2},
		"POST of which no byte was sent": {unsent, http.MethodPost, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scriptedSender{send: func(n int, _ *http.Request) (*http.Response, error) {
				if n == 1 {
					return nil, c.err
				}
				return answer("ok"), nil
			}}
			i := newInvoker(t)
			x := exchangeOf(&addresses{list: []string{listener(t)}}, s)
			req := post(t, x, "payload")
			if req.Method = c.method; c.method == http.MethodGet {
				req = get(t)
				x.Body = nil
			}
			if c.key {
				req.Header["Idempotency-Key"] = []string{"1"}
			}
			resp, err := i.RoundTrip(req, x)
			if err == nil {
				_ = resp.Body.Close()
			}
			if s.n != c.sent || (err == nil) != (c.sent == 2) {
				t.Errorf("sent %d times, error %v; want %d times", s.n, err, c.sent)
			}
		})
	}
}

func TestAttemptsEndAndSayHow(t *testing.T) {
	s := &scriptedSender{send: func(int, *http.Request) (*http.Response, error) { return nil, refused }}
	i := newInvoker(t)
	var outcomes []retry.Outcome
	i.Attempted = func(o retry.Outcome, _ error) { outcomes = append(outcomes, o) }
	x := exchangeOf(&addresses{list: []string{listener(t)}}, s)
	_, err := i.RoundTrip(get(t), x)
	var attempt *AttemptError
	if !errors.As(err, &attempt) || attempt.Outcome != retry.Refused || attempt.Attempts != 4 {
		t.Errorf("the error is %v, want an AttemptError: refused, 4 attempts", err)
	}
	if len(outcomes) != 4 {
		t.Errorf("told of %v, want 4 outcomes", outcomes)
	}
}

func TestTheWaitBetweenAttemptsEndsWithTheClient(t *testing.T) {
	gone := errors.New("the client left")
	ctx, leave := context.WithCancelCause(t.Context())
	s := &scriptedSender{send: func(int, *http.Request) (*http.Response, error) {
		time.AfterFunc(10*time.Millisecond, func() { leave(gone) })
		return nil, refused
	}}
	i := newInvoker(t)
	x := exchangeOf(&addresses{list: []string{listener(t)}}, s)
	x.Policy.Retry.InitialInterval = time.Hour
	x.Policy.Retry.MaxInterval = time.Hour
	if _, err := i.RoundTrip(get(t).WithContext(ctx), x); !errors.Is(err, gone) {
		t.Errorf("the error is %v, want what ended the client's context", err)
	}
	if n := inFlight(i); n != 0 {
		t.Errorf("%d places are taken, want 0", n)
	}
}

func TestABrokenRequestBodyIsTheClientsFault(t *testing.T) {
	broken := errors.New("unexpected EOF from the client")
	src := &slowBody{parts: make(chan string), err: broken}
	close(src.parts)
	s := &scriptedSender{send: func(_ int, req *http.Request) (*http.Response, error) {
		_, err := io.ReadAll(req.Body)
		return nil, err
	}}
	i := newInvoker(t)
	x := exchangeOf(&addresses{list: []string{listener(t)}}, s)
	req := get(t)
	req.Method, req.ContentLength = http.MethodPost, 10
	x.Body = NewBody(src, 10, 64)
	var body *ClientBodyError
	if _, err := i.RoundTrip(req, x); !errors.As(err, &body) || !errors.Is(err, broken) {
		t.Errorf("the error is %v, want a ClientBodyError around %v", err, broken)
	}
	if s.n != 1 {
		t.Errorf("sent %d times, want once", s.n)
	}
}

func TestTheFunctionsTimeoutRunsUntilTheHeaders(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		w.(http.Flusher).Flush()
		time.Sleep(150 * time.Millisecond)
		_, _ = io.WriteString(w, "body")
	}))
	defer srv.Close()
	defer close(release)
	addr := srv.Listener.Addr().String()
	for name, senderOf := range senders {
		t.Run(name, func(t *testing.T) {
			i := newInvoker(t)
			sender := senderOf(i)
			x := exchangeOf(&addresses{list: []string{addr}}, sender)
			x.Timeout = 100 * time.Millisecond
			req := get(t)
			req.URL.Path = "/late"
			if _, err := i.RoundTrip(req, x); !errors.Is(err, ErrFunctionTimeout) {
				t.Errorf("the error is %v, want ErrFunctionTimeout", err)
			}
			x = exchangeOf(&addresses{list: []string{addr}}, sender)
			x.Timeout = 100 * time.Millisecond
			resp, err := i.RoundTrip(get(t), x)
			if err != nil {
				t.Fatalf("headers in time: %v", err)
			}
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "body" {
				t.Errorf("the body is %q, %v; want it whole, though it ends after the timeout", text, err)
			}
		})
	}
}

// piecemeal is a client's body that comes a byte at a time, and then ends, or
// stops for good.
type piecemeal struct {
	left  int
	pause time.Duration
	ends  bool
	gone  chan struct{}
	once  sync.Once
}

func (p *piecemeal) Read(b []byte) (int, error) {
	if p.left == 0 && p.ends {
		return 0, io.EOF
	}
	if p.left == 0 {
		<-p.gone
		return 0, io.ErrClosedPipe
	}
	time.Sleep(p.pause)
	p.left--
	return copy(b, "x"), nil
}

func (p *piecemeal) Close() error {
	p.once.Do(func() { close(p.gone) })
	return nil
}

func TestTheFunctionsTimeoutDoesNotBoundTheUpload(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/late" {
			<-release
		}
		fmt.Fprint(w, n)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(release) })
	addr := srv.Listener.Addr().String()
	const pieces, pause, timeout = 12, 100 * time.Millisecond, 900 * time.Millisecond
	for name, senderOf := range senders {
		for what, test := range map[string]struct {
			path string
			body *piecemeal
			want error
		}{
			"a slow upload":                    {"/", &piecemeal{left: pieces, pause: pause, ends: true}, nil},
			"a slow upload and a late answer":  {"/late", &piecemeal{left: 2, pause: pause, ends: true}, ErrFunctionTimeout},
			"an upload that the client stalls": {"/", &piecemeal{left: 2, pause: pause}, ErrBodyStalled},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				i := newInvoker(t)
				test.body.gone = make(chan struct{})
				defer test.body.Close()
				x := exchangeOf(&addresses{list: []string{addr}}, senderOf(i))
				x.Timeout = timeout
				x.Body = NewBody(test.body, -1, 1<<10)
				req := get(t)
				req.Method, req.URL.Path, req.Body, req.ContentLength = http.MethodPost, test.path, http.NoBody, -1
				resp, err := i.RoundTrip(req, x)
				if !errors.Is(err, test.want) {
					t.Fatalf("the error is %v, want %v", err, test.want)
				}
				var client *ClientBodyError
				if errors.As(err, &client) != (test.want == ErrBodyStalled) {
					t.Errorf("the error is %T, want a ClientBodyError only if the client is to blame", err)
				}
				if err == nil {
					if text, err := io.ReadAll(resp.Body); err != nil || string(text) != strconv.Itoa(pieces) {
						t.Errorf("the function got %q bytes, %v; want %d", text, err, pieces)
					}
				}
			})
		}
	}
}

// senders are the ways requests go out, each tested alike.
var senders = map[string]func(*Invoker) Sender{
	"lean client": func(i *Invoker) Sender { return NewH1Sender(&h1.Transport{Dial: i.Dialer()}) },
	"net/http": func(i *Invoker) Sender {
		dial := i.Dialer()
		return NewSender(&http.Transport{DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) }})
	},
}

func TestTheProbesConnectionCarriesTheFirstRequest(t *testing.T) {
	var conns atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	for name, senderOf := range senders {
		t.Run(name, func(t *testing.T) {
			conns.Store(0)
			i := newInvoker(t)
			x := exchangeOf(&addresses{list: []string{srv.Listener.Addr().String()}}, senderOf(i))
			resp, err := i.RoundTrip(get(t), x)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := conns.Load(); got != 1 {
				t.Errorf("%d connections were made, want 1", got)
			}
			if !x.Cold || x.Cached || x.Wait <= 0 {
				t.Errorf("cold %v, cached %v, waited %v; want a cold start", x.Cold, x.Cached, x.Wait)
			}
		})
	}
}

// inFlight counts places that are taken.
func inFlight(i *Invoker) int {
	n := 0
	for _, s := range i.Endpoints.Snapshot() {
		n += s.InFlight + s.Waiting
	}
	return n
}
