package caddytest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// adminTimeout bounds one admin request. A reload may be slow on a busy
// machine.
const adminTimeout = 60 * time.Second

// newAdminClient returns a client that opens a connection per request: a reload
// replaces the admin server and closes those of the old one.
func newAdminClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		Timeout:   adminTimeout,
	}
}

// AdminURL returns the address of path on Caddy's admin endpoint.
func (c *Caddy) AdminURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", c.in.adminPort, path)
}

// awaitAdmin waits until the admin endpoint answers, or until the process p, if
// there is one, has ended.
func (c *Caddy) awaitAdmin(p *process) error {
	client := newAdminClient()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var ended <-chan struct{}
	if p != nil {
		ended = p.done
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.AdminURL("/config/"), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			// Caddy holds this answer back until the configuration that
			// it is loading is in force.
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ended:
			return errors.New(waitDescription(p.cmd, p.err))
		case <-ctx.Done():
			return fmt.Errorf("the admin endpoint does not answer after %v: %w", startTimeout, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Reload gives Caddy another configuration by POST /load, also if it is the
// same as before, and returns Caddy's reason if it is refused. Ports stay.
func (c *Caddy) Reload(t testing.TB, cfg Config) error {
	t.Helper()
	config, err := c.in.render(cfg)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.AdminURL("/load"), bytes.NewReader(config))
	if err != nil {
		t.Fatalf("caddytest: reload: %v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cache-Control", "must-revalidate") // or Caddy skips an equal one
	status, body := c.adminDo(t, req)
	if status == http.StatusOK {
		return nil
	}
	return adminError(status, body)
}

// Admin sends a request with a JSON body ("" for none) to the admin endpoint
// and returns the answer, whatever its status.
func (c *Caddy) Admin(t testing.TB, method, path, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.AdminURL(path), strings.NewReader(body))
	if err != nil {
		t.Fatalf("caddytest: %s %s: %v", method, path, err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.adminDo(t, req)
}

// Adapt returns the JSON that this Caddy would load for cfg, with what the
// harness adds to it.
func (c *Caddy) Adapt(t testing.TB, cfg Config) []byte {
	t.Helper()
	config, err := c.in.render(cfg)
	if err != nil {
		t.Fatalf("caddytest: adapting: %v", err)
	}
	return config
}

// adminGet returns the body of an answer 200, or fails the test.
func (c *Caddy) adminGet(t testing.TB, path string) string {
	t.Helper()
	status, body := c.Admin(t, http.MethodGet, path, "")
	if status != http.StatusOK {
		t.Fatalf("caddytest: GET %s on the admin endpoint: got status %d, want 200: %s", path, status, body)
	}
	return body
}

// adminAttempts bounds how often a request to the admin endpoint is sent.
const adminAttempts = 5

// unread says whether an error is that of a connection which nobody has read.
// Each configuration brings an admin server with a listener of its own on the
// same port, and the kernel resets what waits at the one that is closed.
func unread(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, io.EOF)
}

func (c *Caddy) adminDo(t testing.TB, req *http.Request) (int, string) {
	t.Helper()
	resp, err := c.admin.Do(req)
	for n := 1; err != nil && n < adminAttempts && unread(err); n++ {
		time.Sleep(time.Duration(n) * 20 * time.Millisecond)
		again := req.Clone(req.Context())
		if req.GetBody != nil {
			if again.Body, err = req.GetBody(); err != nil {
				break
			}
		}
		resp, err = c.admin.Do(again)
	}
	if err != nil {
		t.Fatalf("caddytest: admin endpoint: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("caddytest: admin endpoint: reading the answer to %s %s: %v", req.Method, req.URL.Path, err)
	}
	return resp.StatusCode, string(body)
}

// adminError turns the admin endpoint's {"error": "…"} into an error.
func adminError(status int, body string) error {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(body), &answer) == nil && answer.Error != "" {
		return errors.New(answer.Error)
	}
	return fmt.Errorf("status %d: %s", status, body)
}
