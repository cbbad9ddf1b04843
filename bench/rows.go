package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// row is one line of the table: a proxy, and what is done to it.
type row struct {
	name  string
	about string
	base  string // the row that it is compared with; "" for none
	start func(w *world) (*proxy, error)
	// measure puts the proxy under load for d.
	measure func(w *world, p *proxy, d time.Duration) (sample, error)
}

// allRows are all that can be measured here, in the table's order. Small
// bodies come first.
func allRows(s settings) []row {
	get := newRequest(http.MethodGet, "bench.example.com", "/orders/42", nil, body[:smallSize])
	small := load(s.connections, get)
	rows := []row{
		caddyRow("respond", "Caddy answers by itself", "stock", respondConfig, small),
		caddyRow("stock", "reverse_proxy, static upstream", "stock",
			func(w *world) caddyConfig { return stockConfig(w.backend.Small) }, small),
		caddyRow("stock-idle", "the same, keeping an idle connection per client", "stock", stockIdleConfig, small),
		caddyRow("modules", "reverse_proxy, dynamic kubefaas, transport kubefaas", "stock", modulesConfig, small),
		caddyRow("handler", "kubefaas, http executor, everything on", "stock",
			func(w *world) caddyConfig { return handlerConfig(w, fnSmall) }, small),
		caddyRow("handler-many", fmt.Sprintf("the same with %d triggers", s.triggers), "stock",
			manyConfig, load(s.connections, manyRequests(s)...)),
		caddyRow("handler-weighted", "the same with two weighted functions", "stock",
			func(w *world) caddyConfig { return handlerConfig(w, fnSmall, fnOther) }, small),
	}
	if installed("nginx") {
		rows = append(rows, row{"nginx", "nginx, one worker", "stock", startNginx, small})
	}
	if installed("haproxy") {
		rows = append(rows, row{"haproxy", "HAProxy", "stock", startHAProxy, small})
	}
	rows = append(rows, otherBodies(s)...)
	return append(rows, coldRows(s, get)...)
}

// otherBodies are rows in pairs: stock, and the handler compared with it.
func otherBodies(s settings) []row {
	get := newRequest(http.MethodGet, "bench.example.com", "/orders/42", nil, body)
	post := newRequest(http.MethodPost, "bench.example.com", "/orders/42", body, []byte(strconv.Itoa(len(body))))
	stream := newRequest(http.MethodGet, "bench.example.com", "/orders/42", nil, nil)
	stream.events = true
	var rows []row
	for _, kind := range []struct {
		name, about, function string
		addr                  func(*backend) string
		request               *request
	}{
		{"response", "64 KiB responses", fnLarge, func(b *backend) string { return b.Large }, get},
		{"post", "64 KiB POSTs", fnDiscard, func(b *backend) string { return b.Discard }, post},
		{"sse", fmt.Sprintf("streams of %d events, %v apart; times are an event's", eventCount, eventEvery),
			fnEvents, func(b *backend) string { return b.Events }, stream},
	} {
		stock := "stock-" + kind.name
		rows = append(rows,
			caddyRow(stock, "reverse_proxy, "+kind.about, stock,
				func(w *world) caddyConfig { return stockConfig(kind.addr(w.backend)) }, load(s.connections, kind.request)),
			caddyRow("handler-"+kind.name, "kubefaas, "+kind.about, stock,
				func(w *world) caddyConfig { return handlerConfig(w, kind.function) }, load(s.connections, kind.request)))
	}
	return rows
}

// coldRows are those in which the router finds out where functions are. The
// executor answers at once, and the functions run already: what remains is the
// router's own.
func coldRows(s settings, get *request) []row {
	sweeps := func(clients int) func(*world, *proxy, time.Duration) (sample, error) {
		return func(w *world, p *proxy, d time.Duration) (sample, error) {
			return coldLoad(w, p, min(clients, s.functions), coldRequests(s), d)
		}
	}
	about := fmt.Sprintf("cold starts of %d functions", s.functions)
	return []row{
		caddyRow("cold", about, "", coldConfig, sweeps(s.connections)),
		caddyRow("cold-one-core", about+", GOMAXPROCS=1", "", func(w *world) caddyConfig {
			c := coldConfig(w)
			c.env = []string{"GOMAXPROCS=1"}
			return c
		}, sweeps(s.connections)),
		caddyRow("cold-alone", "cold starts, one at a time", "", coldConfig, sweeps(1)),
		caddyRow("warm-alone", "for comparison: warm requests, one at a time", "",
			func(w *world) caddyConfig { return handlerConfig(w, fnSmall) }, load(1, get)),
	}
}

func caddyRow(name, about, base string, config func(*world) caddyConfig, measure func(*world, *proxy, time.Duration) (sample, error)) row {
	start := func(w *world) (*proxy, error) { return startCaddy(w, name, config(w)) }
	return row{name, about, base, start, measure}
}

// load has clients send these requests, each its own, one after the other.
func load(clients int, requests ...*request) func(*world, *proxy, time.Duration) (sample, error) {
	return func(_ *world, p *proxy, d time.Duration) (sample, error) {
		warmUp := min(d/8, time.Second)
		f, err := dialFleet(p.addr, clients, warmUp+d)
		if err != nil {
			return sample{}, err
		}
		defer f.close()
		s := sample{tally: f.run(until(warmUp, requests))}
		if s.failures > 0 {
			return s, nil
		}
		s.usage, err = p.metered(func() { s.tally = f.run(until(d, requests)) })
		return s, err
	}
}
