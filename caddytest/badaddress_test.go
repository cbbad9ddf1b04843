package caddytest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// Whatever an executor calls an address, the router says that it is none.
func TestExecutorAnswersWhatIsNoAddress(t *testing.T) {
	texts := map[string]string{
		"empty":        "",
		"spaces":       " \t\r\n ",
		"scheme":       "http://10.0.0.1:8888",
		"path":         "10.0.0.1:8888/",
		"query":        "10.0.0.1:8888?a=b",
		"userinfo":     "user@10.0.0.1:8888",
		"space-within": "10.0.0.1 :8888",
		"two-lines":    "10.0.0.1:8888\n10.0.0.2:8888",
		"port-zero":    "10.0.0.1:0",
		"port-huge":    "10.0.0.1:99999",
		"port-word":    "10.0.0.1:http",
		"port-none":    "10.0.0.1:",
		"port-only":    ":8888",
		"number":       "8888",
		"bare-ipv6":    "::1",
		"bracket":      "[::1:8888",
		"zone":         "[fe80::1%eth0]:8888",
		"json":         `{"address":"10.0.0.1:8888"}`,
		"html":         "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>",
		"bytes":        "\x00\xff\xfe",
		"header":       "10.0.0.1:8888\r\nX-Injected: yes",
		"megabyte":     strings.Repeat("0123456789abcdef", 1<<16),
		"long-name":    strings.Repeat("a", 254) + ":8888",
	}
	var names []string
	for name := range texts {
		names = append(names, name)
	}
	p := startPlatform(t, "", triggersFor(names...))
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			p.ex.Answer(name, executortest.At(text))
			r := p.once(t, http.MethodGet, "/"+name, "", "")
			if r.status != http.StatusBadGateway || r.reason() != "bad_address" {
				t.Errorf("got %d %q, want 502 bad_address", r.status, r.reason())
			}
			if got := r.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("got a body of type %q, want a problem", got)
			}
			if strings.Contains(r.body, "10.0.0.1") || r.header.Get("X-Injected") != "" {
				t.Errorf("got the executor's text in the answer, want none of it: %s", r.body)
			}
			p.wantBadAddressLogged(t, name)
		})
	}
}

// wantBadAddressLogged wants one clear line about a function, of moderate
// length.
func (p *platform) wantBadAddressLogged(t *testing.T, fn string) {
	t.Helper()
	entry := p.WaitLog(t, `"function":"default/`+fn+`","reason":"bad_address"`, patience)
	if entry.Level != "error" || entry.Msg != "function did not start" || entry.Logger != "kubefaas" {
		t.Errorf("got %s line %q of %s, want an error: function did not start", entry.Level, entry.Msg, entry.Logger)
	}
	text, _ := entry.Fields["error"].(string)
	if !strings.Contains(text, "not an address") || len(entry.Raw) > 2000 {
		t.Errorf("got a line of %d bytes with error %.200q, want a short one that says that it is not an address", len(entry.Raw), text)
	}
}
