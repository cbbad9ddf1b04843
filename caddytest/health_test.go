package caddytest

import (
	"net/http"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

func TestReadyOnceTheExecutorWasReached(t *testing.T) {
	p := startSites(t, `{
	kubefaas {
		executor http {{.Executor}}
	}
}
http://:{{.HTTP}} {
	kubefaas {
		health
		trigger /* all
	}
}
http://without:{{.HTTP}} {
	kubefaas {
		trigger /* all
	}
}
`)
	f := NewFunction(t)
	p.ex.Answer("all", executortest.At(f.Addr()))
	want := func(when, method, host, path string, status, executed int) {
		t.Helper()
		f.ResetCounts()
		if r := p.ask(t, method, host, path); r.status != status || f.Requests() != executed {
			t.Errorf("%s: %s %s: got %d and %d requests executed, want %d and %d", when, method, path, r.status, f.Requests(), status, executed)
		}
	}
	p.ex.Stop()
	want("executor down", http.MethodGet, "a", "/router-healthz", 200, 0)
	want("executor down", http.MethodGet, "a", "/readyz", 503, 0)
	p.ex.Restart()
	want("executor up", http.MethodGet, "a", "/readyz", 200, 0)
	want("executor up", http.MethodHead, "a", "/readyz", 200, 0)
	want("a catch-all trigger", http.MethodGet, "a", "/readyz/x", 200, 1)
	want("a path that is not clean", http.MethodGet, "a", "//x/../readyz", 200, 0)
	want("another such path", http.MethodGet, "a", "/readyz/x/..", 200, 0)
	want("another method", http.MethodPost, "a", "/readyz", 200, 1)
	want("a site without health", http.MethodGet, "without", "/readyz", 200, 1)
	p.ex.Stop()
	want("executor down again", http.MethodGet, "a", "/readyz", 200, 0)
	want("executor down again", http.MethodGet, "a", "/router-healthz", 200, 0)
}

// An executor on this machine is always there.
func TestReadyWithoutARemoteExecutor(t *testing.T) {
	c := Start(t, Caddyfile("{\n\tkubefaas {\n\t\texecutor static {\n\t\t\thello 127.0.0.1:1\n\t\t}\n\t}\n}\nhttp://:{{.HTTP}} {\n\tkubefaas {\n\t\thealth\n\t\ttrigger /hello hello\n\t}\n}\n"))
	for _, path := range []string{"/router-healthz", "/readyz"} {
		if status, body := get(t, c, path); status != http.StatusOK || body != "" {
			t.Errorf("%s: got %d %q, want an empty 200", path, status, body)
		}
	}
}
