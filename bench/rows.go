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
	// attach makes ready to put the proxy under load, for a round that may last
	// so long.
	attach attach
}

type attach func(w *world, p *proxy, lasting time.Duration) (driver, error)

// driver puts a proxy under load, a while at a time.
type driver interface {
	// drive loads the proxy for about d, and measures.
	drive(d time.Duration) (sample, error)
	close()
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
	sweeps := func(clients int) attach { return coldLoad(min(clients, s.functions), coldRequests(s)) }
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

func caddyRow(name, about, base string, config func(*world) caddyConfig, drive attach) row {
	start := func(w *world) (*proxy, error) { return startCaddy(w, name, config(w)) }
	return row{name, about, base, start, drive}
}

// load has clients send these requests, each its own, one after the other.
func load(clients int, requests ...*request) attach {
	return func(_ *world, p *proxy, lasting time.Duration) (driver, error) {
		f, err := dialFleet(p.addr, clients, lasting)
		if err != nil {
			return nil, err
		}
		return &steady{f, p, requests}, nil
	}
}

// steady is the driver of load.
type steady struct {
	*fleet
	proxy    *proxy
	requests []*request
}

func (l *steady) drive(d time.Duration) (s sample, err error) {
	s.usage, err = l.proxy.metered(func() { s.tally = l.run(until(d, l.requests)) })
	return s, err
}
