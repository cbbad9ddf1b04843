package caddytest

import (
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// single is the one Caddy that a process can run.
var single struct {
	running sync.Mutex // held while a test owns it

	mu     sync.Mutex
	holder string // name of the owning test
}

// ownedBy reports whether the test, or a test that it is part of, owns the
// in-process Caddy: to wait for it would be to wait for oneself.
func ownedBy(test string) bool {
	single.mu.Lock()
	defer single.mu.Unlock()
	return single.holder != "" && (single.holder == test || strings.HasPrefix(test, single.holder+"/"))
}

// lockCaddy waits until no other test uses the process's Caddy. If this test
// owns it already, there is nothing to wait for, nor to release.
func lockCaddy(t testing.TB) (release func()) {
	if ownedBy(t.Name()) {
		return func() {}
	}
	single.running.Lock()
	setHolder(t.Name())
	return sync.OnceFunc(func() {
		setHolder("")
		single.running.Unlock()
	})
}

func setHolder(name string) {
	single.mu.Lock()
	single.holder = name
	single.mu.Unlock()
}

// claim makes c the process's Caddy, as soon as the test before has ended.
func (c *Caddy) claim(t testing.TB) {
	t.Helper()
	if ownedBy(t.Name()) {
		t.Fatal("caddytest: this test has a Caddy in this process already; start the second one with Process()")
	}
	unlock := lockCaddy(t)
	c.release = sync.OnceFunc(func() {
		stopInside()
		unlock()
	})
	t.Cleanup(c.release)
}

// startInside loads cfg into this process's Caddy.
func (c *Caddy) startInside(t testing.TB, cfg Config, _ settings, storage string) error {
	writer, unregister := registerLogs(c.logs)
	t.Cleanup(unregister)
	var err error
	if c.in, err = newInstance(storage, writer); err != nil {
		return err
	}
	config, err := c.in.render(cfg)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	return c.awaitAdmin(nil)
}

// stopInside unloads whatever this process's Caddy runs. caddy.Stop leaves the
// admin endpoint up, so a configuration without one comes first.
func stopInside() {
	_ = caddy.Load([]byte(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"writer": {"output": "discard"}}}}
	}`), true)
	_ = caddy.Stop()
}
