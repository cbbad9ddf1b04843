package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// proxy is a program that is measured, in a process of its own.
type proxy struct {
	*child
	addr  string // where it takes requests, as host:port
	admin string // the URL of Caddy's admin endpoint; "" if it is not Caddy
}

// object is a JSON object.
type object = map[string]any

// caddyConfig is a configuration but for the ports: the apps beside http, and
// the handlers of the only site.
type caddyConfig struct {
	apps     object
	handlers []object
	env      []string // of the process
}

// render returns the configuration as Caddy loads it. Caddy answers plain HTTP
// and keeps nothing; all else is as it is by default.
func (c caddyConfig) render(addr, admin string) ([]byte, error) {
	apps := object{"http": object{"servers": object{"bench": object{
		"listen":          []string{addr},
		"automatic_https": object{"disable": true},
		"routes":          []object{{"handle": c.handlers}},
	}}}}
	maps.Copy(apps, c.apps)
	return json.Marshal(object{
		"admin": object{"listen": admin, "config": object{"persist": false}},
		"apps":  apps,
	})
}

// startCaddy runs Caddy with a configuration until it takes requests.
func startCaddy(w *world, name string, cfg caddyConfig) (*proxy, error) {
	return withFreePorts(2, func(addrs []string) (*proxy, error) {
		text, err := cfg.render(addrs[0], addrs[1])
		if err != nil {
			return nil, err
		}
		file := filepath.Join(w.dir, name+".json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		cmd, err := reexec(roleCaddy, w.dir, "run", "--config", file)
		if err != nil {
			return nil, err
		}
		cmd.Env = append(cmd.Env, cfg.env...)
		child, err := startChild(cmd)
		if err != nil {
			return nil, err
		}
		return &proxy{child: child, addr: addrs[0], admin: "http://" + addrs[1]}, nil
	})
}

// withFreePorts starts a proxy on loopback ports that nobody had a moment ago,
// and waits until it listens on the first. Should somebody take one of them
// after all, it tries others.
func withFreePorts(n int, start func(addrs []string) (*proxy, error)) (*proxy, error) {
	const tries = 3
	var errs []error
	for range tries {
		addrs := make([]string, n)
		for i := range addrs {
			addr, err := freeAddr()
			if err != nil {
				return nil, err
			}
			addrs[i] = addr
		}
		p, err := start(addrs)
		if err != nil {
			return nil, err
		}
		if err = p.awaitListening(p.addr); err == nil {
			return p, nil
		}
		p.stop()
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// ports are those that were given out, so that none is given out twice.
var ports struct {
	sync.Mutex
	taken map[int]bool
}

// freeAddr finds a loopback port below those that systems give to outgoing
// connections, of which this program makes many.
func freeAddr() (string, error) {
	const first, last = 10_000, 32_000
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = make(map[int]bool)
	}
	var err error
	for range 1000 {
		port := first + rand.IntN(last-first)
		if ports.taken[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		var l net.Listener
		if l, err = net.Listen("tcp4", addr); err == nil {
			l.Close()
			ports.taken[port] = true
			return addr, nil
		}
	}
	return "", fmt.Errorf("finding a free port: %w", err)
}
