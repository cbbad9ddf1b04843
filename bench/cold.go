package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
)

// coldLoad has the clients send one request to each of the functions, of which
// the router knows no address, and begins anew once it has forgotten them all.
// What the forgetting takes does not count.
func coldLoad(clients int, requests []*request) attach {
	return func(w *world, p *proxy, lasting time.Duration) (driver, error) {
		f, err := dialFleet(p.addr, clients, lasting)
		if err != nil {
			return nil, err
		}
		return &sweeps{f, w, p, requests}, nil
	}
}

// sweeps is the driver of coldLoad.
type sweeps struct {
	*fleet
	world    *world
	proxy    *proxy
	requests []*request
}

// drive sweeps until d is over, and once at least.
func (c *sweeps) drive(d time.Duration) (all sample, err error) {
	for began := time.Now(); all.requests == 0 || time.Since(began) < d; {
		one, err := coldSweep(c.world, c.proxy, c.fleet, c.requests)
		all.join(one)
		if err != nil || all.failures > 0 {
			return all, err
		}
	}
	return all, nil
}

// coldSweep makes all functions cold and has each called once.
func coldSweep(w *world, p *proxy, f *fleet, requests []*request) (s sample, err error) {
	if err := w.makeCold(p); err != nil {
		return s, err
	}
	w.executor.Reset()
	s.usage, err = p.metered(func() { s.tally = f.run(once(requests)) })
	if err != nil || s.failures > 0 {
		return s, err
	}
	return s, w.requireCold()
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

// makeCold has the router forget all functions. It returns once the router has
// told the executor of each, so that this is not measured with what follows.
func (w *world) makeCold(p *proxy) error {
	w.executor.Reset()
	forgotten := 0
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
		switch resp.StatusCode {
		case http.StatusNoContent:
			forgotten++
		case http.StatusNotFound: // it was never asked for
		default:
			return fmt.Errorf("making function %s cold: got %s", coldFunction(i), resp.Status)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.executor.WaitCalls(ctx, executor.CallUntap, forgotten); err != nil {
		return fmt.Errorf("making functions cold: the executor was told of %d out of %d: %w",
			w.executor.Calls(executor.CallUntap), forgotten, err)
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
