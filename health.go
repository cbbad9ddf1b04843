package kubefaas

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kubefaas/caddy-kubefaas/route"
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
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request, c *call) bool {
	path := healthRoute(r.Method, r.URL.Path)
	if path == "" {
		return false
	}
	if h.ServerTiming {
		c.setTiming(w.Header())
	}
	if path == readyPath {
		w.Header().Set("Cache-Control", "no-store")
		if !h.app.ready(r.Context()) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	}
	w.WriteHeader(http.StatusOK)
	return true
}

// healthRoute is the health route that a request is for, "" if it is for none. Its
// path is cleaned as those of triggers are.
func healthRoute(method, path string) string {
	switch {
	case !isReading(method):
		return ""
	case path == healthPath || path == readyPath:
		return path
	case !strings.Contains(path, "//") && !strings.Contains(path, "/."):
		return "" // it is clean
	}
	if clean, _, ok := route.Clean(path, ""); ok && (clean == healthPath || clean == readyPath) {
		return clean
	}
	return ""
}

// isReading says whether a method asks for no more than an answer.
func isReading(method string) bool { return method == http.MethodGet || method == http.MethodHead }

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
