package kubefaas

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/route"
)

// matchRequest is the body of POST /kubefaas/match.
type matchRequest struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	Path   string `json:"path"`
}

// matchView is its answer.
type matchView struct {
	Outcome   string            `json:"outcome"`
	Trigger   *triggerView      `json:"trigger,omitempty"`
	Function  *weightedView     `json:"function,omitempty"`
	Variables map[string]string `json:"variables,omitempty"`
	Allow     []string          `json:"allow,omitempty"`
	Steps     []stepView        `json:"steps"`
}

type stepView struct {
	Host    string `json:"host,omitempty"`
	Pattern string `json:"pattern,omitempty"`
	Matched bool   `json:"matched"`
	Reason  string `json:"reason"`
}

// answeredHere is the outcome of a request that reaches no function, since the
// handler answers it.
const answeredHere = "answered here"

// maxMatchBody bounds the body of POST /kubefaas/match, in bytes.
const maxMatchBody = 64 << 10

// match says which trigger a request would have, and why.
func (a *AdminAPI) match(w http.ResponseWriter, r *http.Request) error {
	var q matchRequest
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMatchBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return apiError(http.StatusBadRequest, "reading the request: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return apiError(http.StatusBadRequest, "something follows the request")
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	u, err := url.ParseRequestURI(q.Path)
	if err != nil || !strings.HasPrefix(q.Path, "/") {
		return apiError(http.StatusBadRequest, "the path %q is not one", q.Path)
	}
	view, err := matchAll(r.Context(), &q, u)
	if err != nil {
		return err
	}
	return writeJSON(w, view)
}

// matchAll brings the request through each server that it may come to; the first
// that has a function for it, or answers it, decides.
func matchAll(ctx context.Context, q *matchRequest, u *url.URL) (best matchView, err error) {
	defer func() { // matchers are anybody's code, and this request is not quite a real one
		if p := recover(); p != nil {
			err = apiError(http.StatusInternalServerError, "a matcher in front of the handlers failed: %v", p)
		}
	}()
	best.Outcome = route.NoRoute.String()
	steps, reached := []stepView{}, false
	for _, srv := range serversFor(q.Host) {
		w := walk{server: srv, request: syntheticRequest(ctx, srv, q, u), groups: make(map[string]bool)}
		w.view.Outcome = route.NoRoute.String()
		w.routes(srv.Routes)
		reached = reached || w.reached
		switch w.view.Outcome {
		case route.NoRoute.String():
			steps = append(steps, w.view.Steps...)
		case route.MethodNotAllowed.String():
			if best.Outcome == route.NoRoute.String() {
				best = w.view
			}
		default:
			return w.view, nil
		}
	}
	if !reached {
		steps = append(steps, stepView{Reason: "no kubefaas handler is reached by this host and path"})
	}
	if best.Outcome == route.NoRoute.String() {
		best.Steps = steps
	}
	return best, nil
}

// ask has a handler say what it would do with the request, and reports whether
// it would hand it on. See Handler.ServeHTTP for the order.
func (w *walk) ask(h *Handler) (on bool) {
	w.reached = true
	r := w.request
	q := route.Request{Host: r.Host, Method: routeMethod(r), Path: r.URL.Path, RawPath: r.URL.RawPath}
	if h.Health && healthRoute(q.Method, q.Path) != "" {
		return w.answered("health answers it, before any trigger")
	}
	if r.Method == http.MethodConnect {
		w.view.Outcome = route.MethodNotAllowed.String()
		return w.stop("it is for a tunnel, and no function has one")
	}
	var m route.Match
	outcome := h.table.routes.Match(q, &m)
	for _, s := range h.table.routes.Explain(q) {
		w.view.Steps = append(w.view.Steps, stepView{s.Host, s.Pattern, s.Matched, s.Reason})
	}
	if outcome == route.Matched {
		w.matched(h, &m)
		return false
	}
	if ref, how, ok := h.withoutTrigger(q); ok {
		w.view.Outcome, w.view.Function = route.Matched.String(), &weightedView{ref.Namespace, ref.Name, 1}
		w.view.Steps = append(w.view.Steps, stepView{Matched: true, Reason: how})
		return false
	}
	if h.Home && isHome(q.Method, q.Path) {
		return w.answered("home answers it, since no trigger claims it")
	}
	w.view.Outcome = outcome.String()
	if outcome == route.MethodNotAllowed {
		w.view.Allow = m.Allow
		return false
	}
	return h.PassThru
}

func (w *walk) answered(why string) (on bool) {
	w.view.Outcome = answeredHere
	w.view.Steps = append(w.view.Steps, stepView{Pattern: w.request.URL.Path, Matched: true, Reason: why})
	return false
}

func (w *walk) matched(h *Handler, m *route.Match) {
	trigger := viewTrigger(m.Host, m.Trigger)
	w.view.Outcome, w.view.Trigger = route.Matched.String(), &trigger
	if len(trigger.Functions) == 1 {
		w.view.Function = &trigger.Functions[0]
	}
	w.view.Variables = make(map[string]string, len(m.Params))
	for i, p := range m.Params {
		w.view.Variables[p.Name] = p.Value
		if h.EncodedPath {
			w.view.Variables[p.Name] = m.Escaped(i)
		}
	}
}

// withoutTrigger says which function gets a request that no trigger claims,
// and how it comes to it.
func (h *Handler) withoutTrigger(q route.Request) (ref function.Ref, how string, ok bool) {
	if ref, _, _, ok := h.table.internalCall(q.Path, q.RawPath, h.app.knows); ok {
		return ref, "the path names the function, below " + h.table.internal, true
	}
	if h.fallback != nil {
		return h.fallback.functions[0].Ref, "no trigger claims it; the handler's function gets the rest", true
	}
	return ref, "", false
}
