package main

import (
	"fmt"
	"sync"
	"time"
)

// patience is how long a response may come after the end of a round before the
// connection is given up.
const patience = 30 * time.Second

// tally is what a number of requests came to.
type tally struct {
	requests int // that were answered as expected
	failures int
	err      error // of the first failure
	elapsed  time.Duration
	took     []time.Duration // of each request or event
}

// fail counts a failure.
func (t *tally) fail(err error) {
	t.failures++
	if t.err == nil {
		t.err = err
	}
}

// add joins the results of another client. The time is not added.
func (t *tally) add(other tally) {
	t.requests += other.requests
	t.failures += other.failures
	if t.err == nil {
		t.err = other.err
	}
	t.took = append(t.took, other.took...)
}

// fleet is a number of clients of one proxy.
type fleet struct {
	addr     string
	deadline time.Time // of every connection
	clients  []*client
}

// dialFleet opens n connections, for d and what the last responses take.
func dialFleet(addr string, n int, d time.Duration) (*fleet, error) {
	f := &fleet{addr: addr, deadline: time.Now().Add(d + patience)}
	for range n {
		c, err := dialClient(addr, f.deadline)
		if err != nil {
			f.close()
			return nil, fmt.Errorf("connecting to the proxy: %w", err)
		}
		f.clients = append(f.clients, c)
	}
	return f, nil
}

func (f *fleet) close() {
	for _, c := range f.clients {
		c.close()
	}
}

// run has every client do what next gives it, one after the other, until that
// is nil. next is called by all clients at once, with the client's number.
func (f *fleet) run(next func(client int) *request) tally {
	tallies := make([]tally, len(f.clients))
	began := time.Now()
	var clients sync.WaitGroup
	for i := range f.clients {
		clients.Go(func() { f.work(i, next, &tallies[i]) })
	}
	clients.Wait()
	all := tally{elapsed: time.Since(began)}
	for _, t := range tallies {
		all.add(t)
	}
	return all
}

// maxFailures is how many failures one client reports; a proxy that is gone
// would make them by the million.
const maxFailures = 100

// work is one client's run.
func (f *fleet) work(i int, next func(int) *request, t *tally) {
	for q := next(i); q != nil; q = next(i) {
		var err error
		if t.took, err = f.clients[i].do(q, t.took); err == nil {
			t.requests++
			continue
		}
		if t.fail(err); t.failures == maxFailures {
			return
		}
		f.clients[i].close()
		again, err := dialClient(f.addr, f.deadline)
		if err != nil {
			t.fail(fmt.Errorf("connecting to the proxy again: %w", err))
			return
		}
		f.clients[i] = again
	}
}

// until gives each client its request, again and again, for d.
func until(d time.Duration, requests []*request) func(int) *request {
	end := time.Now().Add(d)
	return func(i int) *request {
		if !time.Now().Before(end) {
			return nil
		}
		return requests[i%len(requests)]
	}
}
