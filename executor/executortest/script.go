package executortest

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// Answer is one answer of the script. The zero value is an empty 200.
type Answer struct {
	// Status is the HTTP status; 0 is 200.
	Status int
	// Text is the body: an address, or what an error says.
	Text string
	// Header is sent along.
	Header http.Header
	// Delay is waited before the answer.
	Delay time.Duration
	// Until, if not nil, holds the answer back until it is closed.
	Until <-chan struct{}
	// Abort closes the connection instead of answering.
	Abort bool
	// Handler, if not nil, answers in place of all the above but Delay and
	// Until. The call's body has been read; it is in the record.
	Handler http.Handler
}

// At is the answer with an address, or whatever text stands for one.
func At(address string) Answer { return Answer{Text: address} }

// Fail is the answer with a status and the executor's text.
func Fail(status int, text string) Answer { return Answer{Status: status, Text: text} }

// Answer scripts getServiceForFunction for a function, "[<namespace>/]<name>":
// the answers in order, the last one for ever after. It replaces what was
// scripted before; without an answer, the function is unknown again.
func (s *Server) Answer(fn string, answers ...Answer) {
	s.scripts.set(executor.CallAddress, s.ref(fn), inOrder(answers))
}

// AnswerFunc scripts getServiceForFunction for a function by a function of
// the call and of its number among the calls since this script was set, from
// 0. It is called from many goroutines at once.
func (s *Server) AnswerFunc(fn string, answer func(c Call, n int) Answer) {
	s.scripts.set(executor.CallAddress, s.ref(fn), answer)
}

// AnswerCapacity scripts ensureCapacity for a function, as Answer does.
func (s *Server) AnswerCapacity(fn string, answers ...Answer) {
	s.scripts.set(executor.CallCapacity, s.ref(fn), inOrder(answers))
}

// AnswerTap scripts tapServices, as Answer does. Without an answer, every
// batch is taken.
func (s *Server) AnswerTap(answers ...Answer) {
	s.scripts.set(executor.CallTap, function.Ref{}, inOrder(answers))
}

// AnswerUntap scripts unTapService, as AnswerTap does.
func (s *Server) AnswerUntap(answers ...Answer) {
	s.scripts.set(executor.CallUntap, function.Ref{}, inOrder(answers))
}

// AnswerHealth scripts healthz, as AnswerTap does.
func (s *Server) AnswerHealth(answers ...Answer) {
	s.scripts.set(executor.CallHealth, function.Ref{}, inOrder(answers))
}

func (s *Server) ref(fn string) function.Ref {
	ref, err := function.ParseRef(fn)
	if err != nil {
		s.fatalf("executortest: %v", err)
	}
	return ref
}

// inOrder is nil for no answers.
func inOrder(answers []Answer) func(Call, int) Answer {
	if len(answers) == 0 {
		return nil
	}
	return func(_ Call, n int) Answer { return answers[min(n, len(answers)-1)] }
}

// scripts holds a script for each call and, where the call is about one
// function, for each function.
type scripts struct {
	mu sync.Mutex
	m  map[scriptKey]*script
}

type scriptKey struct {
	call string
	ref  function.Ref
}

type script struct {
	answer func(Call, int) Answer
	n      int // calls so far
}

func (s *scripts) set(call string, ref function.Ref, answer func(Call, int) Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[scriptKey]*script)
	}
	if answer == nil {
		delete(s.m, scriptKey{call, ref})
		return
	}
	s.m[scriptKey{call, ref}] = &script{answer: answer}
}

// next returns the answer to c.
func (s *scripts) next(c Call) Answer {
	key := scriptKey{call: c.Name}
	if c.Name == executor.CallAddress || c.Name == executor.CallCapacity {
		key.ref = c.Ref
	}
	s.mu.Lock()
	sc, n := s.m[key], 0
	if sc != nil {
		n = sc.n
		sc.n++
	}
	s.mu.Unlock()

	switch {
	case sc != nil:
		return sc.answer(c, n) // unlocked: it is the test's code
	case c.Name == executor.CallAddress:
		return Fail(http.StatusNotFound, "no such function: "+c.Ref.String())
	case c.Name == executor.CallCapacity:
		return Fail(http.StatusNotFound, "404 page not found")
	}
	return Answer{}
}

// give sends the answer, unless ctx ends first.
func (a Answer) give(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if a.Delay > 0 {
		t := time.NewTimer(a.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
	if a.Until != nil {
		select {
		case <-a.Until:
		case <-ctx.Done():
			return
		}
	}
	switch {
	case a.Handler != nil:
		a.Handler.ServeHTTP(w, r)
		return
	case a.Abort:
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	maps.Copy(h, a.Header)
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	_, _ = w.Write([]byte(a.Text))
}
