package main

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// coldLoad has the clients send one request to each of the functions, of which
// the router knows no address, and begins anew once it has forgotten them all,
// until d is over. What the forgetting takes does not count.
func coldLoad(w *world, p *proxy, clients int, requests []*request, d time.Duration) (sample, error) {
	// A sweep takes a fraction of the time that begins it.
	f, err := dialFleet(p.addr, clients, d+2*patience)
	if err != nil {
		return sample{}, err
	}
	defer f.close()

	var all sample
	for began := time.Now(); all.requests == 0 || time.Since(began) < d; {
		if err := w.makeCold(p); err != nil {
			return all, err
		}
		w.executor.Reset()
		var one tally
		used, err := p.metered(func() { one = f.run(once(requests)) })
		if err != nil {
			return all, err
		}
		all.usage = all.usage.plus(used)
		all.add(one)
		all.elapsed += one.elapsed
		if all.failures > 0 {
			return all, nil
		}
		if err := w.requireCold(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// once gives each request to whichever client is free.
func once(requests []*request) func(int) *request {
	var next atomic.Int64
	return func(int) *request {
		i := int(next.Add(1)) - 1
		if i >= len(requests) {
			return nil
		}
		return requests[i]
	}
}

// makeCold has the router forget all functions.
func (w *world) makeCold(p *proxy) error {
	for i := range w.functions {
		req, err := http.NewRequest(http.MethodDelete, p.admin+"/kubefaas/addresses/"+coldFunction(i), nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("making function %s cold: %w", coldFunction(i), err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // or the connection would not be kept
		resp.Body.Close()
		// 404 is said of a function that was never asked for.
		if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusNotFound {
			return fmt.Errorf("making function %s cold: got %s", coldFunction(i), resp.Status)
		}
	}
	return nil
}

// requireCold reports if a function was not asked for of the executor: then
// its start was none.
func (w *world) requireCold() error {
	for i := range w.functions {
		if w.executor.CallsFor(coldFunction(i)) == 0 {
			return fmt.Errorf("function %s was not cold: nobody asked the executor for it", coldFunction(i))
		}
	}
	return nil
}
