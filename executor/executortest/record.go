package executortest

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// Call is one call as it came.
type Call struct {
	// Name is the call, one of executor's Call constants.
	Name string
	// API is the generation of the body, "v1" or "v2"; empty for a call that
	// is not about one function.
	API string
	// Ref names the function; zero for a batch of taps and for healthz.
	Ref function.Ref
	// UID, ResourceVersion, ExecutorType, Timeout and RequestsPerPod are what
	// the body says of the function; the last three are api v2 only, but for
	// an untap's ExecutorType.
	UID, ResourceVersion, ExecutorType string
	Timeout                            time.Duration
	RequestsPerPod                     int
	// Ready and Busy are what an ensureCapacity observed.
	Ready, Busy int
	// Taps are the taps of a batch, or the one untap.
	Taps []Tap
	// Method, URI (path and query), Header and Raw, the body, are as sent.
	Method, URI string
	Header      http.Header
	Raw         []byte
	// At is when the call had been read.
	At time.Time
}

// Tap is one tap, or untap, as it came.
type Tap struct {
	Ref                                function.Ref
	UID, ResourceVersion, ExecutorType string
	// ServiceURL is as sent: with "http://" in a tap, without in an untap.
	ServiceURL string
	At         time.Time
}

// record holds what the server was asked. It grows until it is reset.
type record struct {
	mu      sync.Mutex
	calls   []Call
	byName  map[string]int
	byRef   map[function.Ref]int // CallAddress only
	now     map[function.Ref]int // CallAddress under way; zero Ref: all
	peak    map[function.Ref]int
	changed chan struct{} // closed at the next call, if anybody waits
}

// Calls returns how often a call, one of executor's Call constants, was made.
// A call that the server refused to read (400) or to believe (401) counts too.
func (s *Server) Calls(name string) int {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.byName[name]
}

// CallsFor returns how often getServiceForFunction was called for a function.
func (s *Server) CallsFor(fn string) int {
	ref := s.ref(fn)
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.byRef[ref]
}

// MaxConcurrent returns how many getServiceForFunction were under way at once
// at most, over all functions.
func (s *Server) MaxConcurrent() int { return s.record.peakOf(function.Ref{}) }

// MaxConcurrentFor returns the same for one function.
func (s *Server) MaxConcurrentFor(fn string) int { return s.record.peakOf(s.ref(fn)) }

// Record returns every call, in the order in which they were read.
func (s *Server) Record() []Call {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return slices.Clone(s.record.calls)
}

// Taps returns every tap of every batch, in order, whatever was answered.
func (s *Server) Taps() []Tap { return s.tapsOf(executor.CallTap) }

// Untaps returns every untap, in order, whatever was answered.
func (s *Server) Untaps() []Tap { return s.tapsOf(executor.CallUntap) }

// Reset forgets every call; scripts stay, and go on where they were.
func (s *Server) Reset() {
	r := &s.record
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls, r.byName, r.byRef, r.peak = nil, nil, nil, nil
}

// WaitCalls waits until a call was made n times in all, and returns ctx's
// error if it ends before. A call counts from when it was read, so a call
// that is held back counts.
func (s *Server) WaitCalls(ctx context.Context, name string, n int) error {
	for {
		made, changed := s.record.watch(name)
		if made >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Server) tapsOf(call string) []Tap {
	var taps []Tap
	for _, c := range s.Record() {
		if c.Name == call {
			taps = append(taps, c.Taps...)
		}
	}
	return taps
}

func (r *record) peakOf(ref function.Ref) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peak[ref]
}

func (r *record) watch(name string) (made int, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.byName[name], r.changed
}

// begin records c and returns what to call when it is answered.
func (r *record) begin(c Call) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
	count(&r.byName, c.Name, 1)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	if c.Name != executor.CallAddress {
		return func() {}
	}
	count(&r.byRef, c.Ref, 1)
	for _, ref := range [...]function.Ref{{}, c.Ref} {
		now := count(&r.now, ref, 1)
		if now > r.peak[ref] {
			count(&r.peak, ref, now-r.peak[ref])
		}
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		count(&r.now, function.Ref{}, -1)
		count(&r.now, c.Ref, -1)
	}
}

// count adds to a counter of a map that may not exist yet.
func count[K comparable](m *map[K]int, key K, by int) int {
	if *m == nil {
		*m = make(map[K]int)
	}
	(*m)[key] += by
	return (*m)[key]
}
