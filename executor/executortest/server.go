// Package executortest is a scripted executor on a real listener, for tests
// and for authors of plugins. It answers the remote executor's whole API, of
// both generations, as its script says, and records what it was asked.
//
//	s := executortest.New(t)
//	s.Answer("hello", executortest.At("127.0.0.1:8080"))
//	// … point the router at s.URL …
//	if got := s.CallsFor("hello"); got != 1 { … }
package executortest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// TB is what New needs of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Server is a scripted executor. Until told otherwise it knows no function
// (404), takes every tap, has no ensureCapacity (404, as older executors) and
// is healthy. It is safe for concurrent use, and scripts may change while it
// serves.
type Server struct {
	// URL is where it listens, "http://127.0.0.1:<port>". It never changes.
	URL string

	tb     TB
	record record

	scripts scripts
	access  access

	listening sync.Mutex // held to start or stop
	http      *http.Server
	accepting chan struct{}  // closed when http accepts no more
	conns     sync.WaitGroup // connections that are being served
}

// New starts a scripted executor on a free loopback port and, with a t that
// is not nil, closes it when the test ends. It fails the test, or panics
// without one, if it cannot listen.
func New(t TB) *Server {
	s := &Server{tb: t}
	if t != nil {
		t.Helper()
		t.Cleanup(s.Close)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.fatalf("executortest: %v", err)
	}
	s.URL = "http://" + l.Addr().String()
	s.serve(l)
	return s
}

// Stop closes the listener and every connection, and waits until no call is
// under way: from then on connections are refused. Stopping twice is fine.
func (s *Server) Stop() {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.http == nil {
		return
	}
	s.http.Close()
	<-s.accepting
	s.http.Close() // what was accepted during the first
	s.http = nil
	s.conns.Wait()
}

// Restart listens again on the same port, with the same script and records.
// It does nothing if the server is not stopped.
func (s *Server) Restart() {
	s.listening.Lock()
	defer s.listening.Unlock()
	if s.http != nil {
		return
	}
	// Somebody's outgoing connection may have been given the port meanwhile,
	// so one refusal says little.
	address := s.URL[len("http://"):]
	var l net.Listener
	var err error
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if l, err = net.Listen("tcp", address); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		s.fatalf("executortest: restarting: %v", err)
	}
	s.serve(l)
}

// Close stops the server for good.
func (s *Server) Close() { s.Stop() }

// serve owns l until Stop.
func (s *Server) serve(l net.Listener) {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ConnState: s.connState}
	accepting := make(chan struct{})
	s.http, s.accepting = server, accepting
	go func() {
		defer close(accepting)
		_ = server.Serve(l) // always ErrServerClosed, from Stop
	}()
}

// connState counts connections. The first state is told before the next
// connection is accepted, so after accepting none is added.
func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	}
}

func (s *Server) fatalf(format string, args ...any) {
	if s.tb == nil {
		panic(fmt.Sprintf(format, args...))
	}
	s.tb.Helper()
	s.tb.Fatalf(format, args...)
}
