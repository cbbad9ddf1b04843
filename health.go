package kubefaas

import (
	"context"
	"net/http"
	"time"
)

// Paths of `health`.
const (
	healthPath = "/router-healthz"
	readyPath  = "/readyz"
)

// readyTimeout bounds the look at an executor that has not been reached yet.
const readyTimeout = 2 * time.Second

// serveHealth answers the health routes, before any trigger, and returns false
// for everything else.
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.URL.Path {
	case healthPath:
		w.WriteHeader(http.StatusOK)
	case readyPath:
		w.Header().Set("Cache-Control", "no-store")
		if !h.app.ready(r.Context()) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		w.WriteHeader(http.StatusOK)
	default:
		return false
	}
	return true
}

// ready says whether the executor has been reached once. One that is on this
// machine always is.
func (a *App) ready(ctx context.Context) bool {
	e, ok := a.executor.(interface{ Ready(context.Context) bool })
	if !ok {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return e.Ready(ctx)
}
