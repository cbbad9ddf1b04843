package main

import (
	"fmt"
	"net/http"
)

// The functions that the executor knows, by what the backend does for them.
const (
	fnSmall   = "small"
	fnOther   = "other"
	fnLarge   = "large"
	fnDiscard = "discard"
	fnEvents  = "events"
)

// coldFunction names a function of the cold rows.
func coldFunction(i int) string { return fmt.Sprintf("cold-%d", i) }

// respondConfig is a Caddy that answers by itself what the backend would.
func respondConfig(*world) caddyConfig {
	return caddyConfig{handlers: []object{{
		"handler": "static_response", "body": string(body[:smallSize]),
		"headers": object{"Content-Type": []string{"text/plain; charset=utf-8"}},
	}}}
}

// stockConfig is Caddy's own reverse_proxy with a static upstream.
func stockConfig(addr string) caddyConfig {
	return caddyConfig{handlers: []object{{"handler": "reverse_proxy", "upstreams": []object{{"dial": addr}}}}}
}

// stockIdleConfig is the same with room for an idle connection per client;
// by default there are 32.
func stockIdleConfig(w *world) caddyConfig {
	c := stockConfig(w.backend.Small)
	c.handlers[0]["transport"] = object{"protocol": "http", "keep_alive": object{"max_idle_conns_per_host": max(32, 2*w.connections)}}
	return c
}

// modulesConfig is reverse_proxy with this plugin's upstreams and transport.
func modulesConfig(w *world) caddyConfig {
	return caddyConfig{apps: w.app(fnSmall), handlers: []object{{
		"handler":           "reverse_proxy",
		"dynamic_upstreams": object{"source": "kubefaas", "function": object{"name": fnSmall}},
		"transport":         object{"protocol": "kubefaas"},
	}}}
}

// handlerConfig is the handler with one trigger, with a path variable.
func handlerConfig(w *world, functions ...string) caddyConfig {
	return w.handler(functions, []object{{"path": "/orders/{id}", "functions": named(functions)}})
}

// named lists functions with equal weights as a trigger has them.
func named(functions []string) []object {
	var list []object
	for _, fn := range functions {
		list = append(list, object{"name": fn, "weight": 1})
	}
	return list
}

// manyConfig is the handler with many triggers of all kinds.
func manyConfig(w *world) caddyConfig {
	list := make([]object, w.triggers)
	for i := range list {
		list[i] = manyTrigger(i)
	}
	return w.handler([]string{fnSmall}, list)
}

// manyTrigger is the i-th of many.
func manyTrigger(i int) object {
	t := object{"functions": named([]string{fnSmall})}
	switch i % 4 {
	case 0:
		t["path"] = fmt.Sprintf("/many/%d", i)
	case 1:
		t["path"] = fmt.Sprintf("/many/%d/{id}", i)
	case 2:
		t["path"] = fmt.Sprintf("/many/%d/*", i)
	case 3:
		t["path"], t["hosts"] = "/orders/{id}", []string{manyHost(i)}
	}
	return t
}

func manyHost(i int) string { return fmt.Sprintf("shop-%d.example.com", i) }

// manyRequests are the requests of all clients, each for another trigger, from
// all over the table.
func manyRequests(s settings) []*request {
	requests := make([]*request, s.connections)
	for c := range requests {
		i := c * s.triggers / s.connections
		host, path := "bench.example.com", "/orders/42"
		switch i % 4 {
		case 0:
			path = fmt.Sprintf("/many/%d", i)
		case 1:
			path = fmt.Sprintf("/many/%d/42", i)
		case 2:
			path = fmt.Sprintf("/many/%d/a/b", i)
		case 3:
			host = manyHost(i)
		}
		requests[c] = newRequest(http.MethodGet, host, path, nil, body[:smallSize])
	}
	return requests
}

// coldConfig is the handler with a trigger per function, of which none is
// known to run.
func coldConfig(w *world) caddyConfig {
	functions := make([]string, w.functions)
	list := make([]object, w.functions)
	for i := range functions {
		functions[i] = coldFunction(i)
		list[i] = object{"path": "/" + functions[i], "functions": named(functions[i : i+1])}
	}
	return w.handler(functions, list)
}

// coldRequests are one request for each of the functions.
func coldRequests(s settings) []*request {
	requests := make([]*request, s.functions)
	for i := range requests {
		requests[i] = newRequest(http.MethodGet, "bench.example.com", "/"+coldFunction(i), nil, body[:smallSize])
	}
	return requests
}

// handler is the handler with these triggers. Metrics, taps, the headers that
// functions get and their timeout are all on.
func (w *world) handler(functions []string, triggers []object) caddyConfig {
	return caddyConfig{apps: w.app(functions...), handlers: []object{{"handler": "kubefaas", "triggers": triggers}}}
}

// app is the app with the remote executor, and all metadata of its functions.
func (w *world) app(functions ...string) object {
	list := make([]object, len(functions))
	for i, fn := range functions {
		list[i] = object{
			"name": fn, "uid": "0b6c4b0e-" + fn, "resource_version": "1",
			"executor_type": "poolmgr", "timeout": "60s",
		}
	}
	return object{"kubefaas": object{
		"executor":  object{"executor": "http", "url": w.executor.URL},
		"functions": list,
	}}
}
