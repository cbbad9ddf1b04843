package caddytest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// functionSettings is what options change; the fields that are encoded reach
// a function in another process.
type functionSettings struct {
	ID    string        `json:"id"`
	H2C   bool          `json:"h2c"`
	Delay time.Duration `json:"delay"`

	handler     http.Handler
	down        bool
	listenAfter time.Duration
}

// FunctionOption changes a function before it starts.
type FunctionOption func(*functionSettings)

// WithHandler replaces the function's code. Without it, a function echoes the
// request as JSON (see [Echo]) or does what the header [DoHeader] says.
func WithHandler(h http.Handler) FunctionOption {
	return func(s *functionSettings) { s.handler = h }
}

// WithID sets the function's name for itself, which its answers carry.
func WithID(id string) FunctionOption { return func(s *functionSettings) { s.ID = id } }

// Delay makes the function wait before it answers each request.
func Delay(d time.Duration) FunctionOption { return func(s *functionSettings) { s.Delay = d } }

// H2C lets the function speak HTTP/2 without TLS beside HTTP/1.1.
func H2C() FunctionOption { return func(s *functionSettings) { s.H2C = true } }

// Down reserves the function's port but does not listen: dials are refused
// until [Function.Restart] or [Function.ListenAfter].
func Down() FunctionOption { return func(s *functionSettings) { s.down = true } }

// ListenAfter is [Down] for the time d.
func ListenAfter(d time.Duration) FunctionOption {
	return func(s *functionSettings) { s.down, s.listenAfter = true, d }
}

// Function is an HTTP server on a loopback port of its own, inside the test
// process, which counts what it executes. It ends with the test.
type Function struct {
	recorder
	settings functionSettings
	port     int
	code     *behaviour

	state struct {
		sync.Mutex
		held   *reservation // the port, until it is listened on
		server *http.Server // nil while down
		conns  *trackedListener
		served chan struct{} // closed when server's goroutine has ended
		since  time.Time
		timer  *time.Timer
		closed bool
	}
}

// NewFunction starts a function, which listens when NewFunction returns unless
// an option says otherwise.
func NewFunction(t testing.TB, opts ...FunctionOption) *Function {
	t.Helper()
	f := &Function{}
	for _, opt := range opts {
		opt(&f.settings)
	}
	held, err := reserve()
	if err != nil {
		t.Fatalf("caddytest: function: %v", err)
	}
	f.state.held, f.port = held, held.port
	if f.settings.ID == "" {
		f.settings.ID = fmt.Sprintf("function-%d", f.port)
	}
	f.code = newBehaviour(f.settings, &f.recorder)
	t.Cleanup(f.close)
	switch {
	case !f.settings.down:
		if err := f.start(); err != nil {
			t.Fatalf("caddytest: function: %v", err)
		}
	case f.settings.listenAfter > 0:
		f.ListenAfter(f.settings.listenAfter)
	}
	return f
}

// Addr returns the function's address as host:port.
func (f *Function) Addr() string { return fmt.Sprintf("127.0.0.1:%d", f.port) }

// URL returns the address of path on the function.
func (f *Function) URL(path string) string { return "http://" + f.Addr() + path }

// ID returns the function's name for itself.
func (f *Function) ID() string { return f.settings.ID }

// SetDelay changes how long the function waits before it answers.
func (f *Function) SetDelay(d time.Duration) { f.code.delay.Store(int64(d)) }

// ListenAfter starts a function that is down when d has passed. It panics in
// its own time if another process has taken the port.
func (f *Function) ListenAfter(d time.Duration) {
	f.state.Lock()
	defer f.state.Unlock()
	f.state.timer = time.AfterFunc(d, func() {
		if err := f.start(); err != nil {
			panic(fmt.Sprintf("caddytest: function %s: %v", f.settings.ID, err))
		}
	})
}

// Listening returns since when the function listens; the zero time if it is
// down.
func (f *Function) Listening() time.Time {
	f.state.Lock()
	defer f.state.Unlock()
	return f.state.since
}

// Restart starts a function that is down, on the port that it always had.
func (f *Function) Restart(t testing.TB) {
	t.Helper()
	if err := f.start(); err != nil {
		t.Fatalf("caddytest: restarting function %s: %v", f.settings.ID, err)
	}
}

// Kill ends the function as the end of its process would: the listener and all
// connections close at once, upgraded ones too, and dials are refused. Handlers
// that still run find their connection gone.
func (f *Function) Kill() {
	f.state.Lock()
	defer f.state.Unlock()
	if f.state.timer != nil {
		f.state.timer.Stop()
	}
	if f.state.server == nil {
		return
	}
	_ = f.state.server.Close()
	f.state.conns.closeAll()
	<-f.state.served
	f.state.server, f.state.since = nil, time.Time{}
}

// start listens and serves, unless the function does so already or the test is
// over.
func (f *Function) start() error {
	f.state.Lock()
	defer f.state.Unlock()
	if f.state.server != nil || f.state.closed {
		return nil
	}
	listener, err := f.listen()
	if err != nil {
		return err
	}
	tracked := trackConns(listener)
	server := newFunctionServer(f.settings, f.code)
	served := make(chan struct{})
	f.state.server, f.state.conns, f.state.served, f.state.since = server, tracked, served, time.Now()
	go func() {
		defer close(served)
		if err := server.Serve(tracked); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("caddytest: function %s: %v", f.settings.ID, err))
		}
	}()
	return nil
}

// listen listens on the function's port: the first time on the socket that
// holds it, later on a new one.
func (f *Function) listen() (net.Listener, error) {
	if held := f.state.held; held != nil {
		f.state.held = nil
		return held.listen()
	}
	return net.Listen("tcp4", f.Addr())
}

func (f *Function) close() {
	f.Kill()
	f.state.Lock()
	defer f.state.Unlock()
	f.state.closed = true
	if f.state.held != nil {
		f.state.held.release()
	}
}

// newFunctionServer returns the HTTP server of a function in any process.
func newFunctionServer(s functionSettings, code http.Handler) *http.Server {
	server := &http.Server{Handler: code, ReadHeaderTimeout: time.Minute, ErrorLog: quietLog}
	if s.H2C {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	return server
}
