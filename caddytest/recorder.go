package caddytest

import (
	"maps"
	"net/http"
	"sync"
)

// TestIDHeader names the request header by which functions count executions.
const TestIDHeader = "X-Test-Id"

// recorder counts the requests that a function executes.
type recorder struct {
	mu     sync.Mutex
	total  int
	byID   map[string]int
	active int
	most   int

	// journal, if set, is told the ID of each request before it runs, so that
	// the count outlives the process.
	journal func(id string)
}

// begin counts a request; the function it returns ends it.
func (r *recorder) begin(req *http.Request) (end func()) {
	id := req.Header.Get(TestIDHeader)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if id != "" {
		if r.byID == nil {
			r.byID = make(map[string]int)
		}
		r.byID[id]++
	}
	r.active++
	r.most = max(r.most, r.active)
	if r.journal != nil {
		r.journal(id)
	}
	return func() {
		r.mu.Lock()
		r.active--
		r.mu.Unlock()
	}
}

// Requests returns how many requests the function has begun to execute.
func (r *recorder) Requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// RequestsWithID returns how many of them bore this ID in [TestIDHeader].
func (r *recorder) RequestsWithID(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// IDs returns how often each ID was executed.
func (r *recorder) IDs() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.byID)
}

// Repeated returns the IDs that were executed more than once, and how often.
func (r *recorder) Repeated() map[string]int {
	return repeated(r.IDs())
}

func repeated(ids map[string]int) map[string]int {
	maps.DeleteFunc(ids, func(_ string, n int) bool { return n <= 1 })
	return ids
}

// Active returns how many requests the function executes now.
func (r *recorder) Active() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active
}

// MaxConcurrent returns the most requests it has executed at once.
func (r *recorder) MaxConcurrent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// ResetCounts forgets all requests but those being executed.
func (r *recorder) ResetCounts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total, r.byID, r.most = 0, nil, r.active
}
