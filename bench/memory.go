package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(memoryAPI{}) }

// memoryAPI shows on the admin endpoint of a Caddy under test what it has
// allocated. /metrics has the same figures, but a scrape of it allocates more
// with each function that was called.
type memoryAPI struct{}

// memoryPath is where.
const memoryPath = "/bench/allocated"

// allocated is what a process has allocated since it began.
type allocated struct {
	Objects uint64 `json:"objects"`
	Bytes   uint64 `json:"bytes"`
}

// CaddyModule returns the Caddy module information.
func (memoryAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.bench", New: func() caddy.Module { return new(memoryAPI) }}
}

// Routes are the API's.
func (memoryAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: memoryPath, Handler: caddy.AdminHandlerFunc(showAllocated)}}
}

func showAllocated(w http.ResponseWriter, _ *http.Request) error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return json.NewEncoder(w).Encode(allocated{Objects: m.Mallocs, Bytes: m.TotalAlloc})
}

// allocated asks a Caddy under test; another proxy has no answer.
func (p *proxy) allocated() (a allocated, err error) {
	if p.admin == "" {
		return a, nil
	}
	resp, err := http.Get(p.admin + memoryPath)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("asking Caddy what it has allocated: %s", resp.Status)
	}
	return a, json.NewDecoder(resp.Body).Decode(&a)
}

// Interface guards
var (
	_ caddy.Module      = memoryAPI{}
	_ caddy.AdminRouter = memoryAPI{}
)
