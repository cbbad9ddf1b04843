package kubefaas

import (
	crand "crypto/rand"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/route"
)

// target is a trigger made ready: what a matched request needs to know.
type target struct {
	trigger *Trigger // until it is provisioned
	// configured: there is a trigger; else only the request names the function.
	configured bool
	// name and pattern are what placeholders and metrics call the trigger.
	name, pattern string
	functions     []*function.Function
	// timeouts are the functions' timeouts for requests of this trigger.
	timeouts     []time.Duration
	upstreamPath string
	streamIdle   time.Duration
	streamMax    time.Duration
	preserveHost bool
	serverTiming bool
	meters       meters
	// params are the header names of the path's variables, in their order, once
	// a request has had them.
	params atomic.Pointer[[]string]
}

// paramHeaders are the header names of a pattern's variables.
func (t *target) paramHeaders(names *headerNames, params []route.Param) []string {
	if len(params) == 0 {
		return nil
	}
	if known := t.params.Load(); known != nil {
		return *known
	}
	headers := make([]string, len(params))
	for i := range params {
		headers[i] = names.param(params[i].Name)
	}
	t.params.Store(&headers)
	return headers
}

// label is the target's function as metrics call it: what only a request has
// named must not become a label.
func (t *target) label(a *App, ref function.Ref) function.Ref {
	if t.configured || a.knows(ref) {
		return ref
	}
	return function.Ref{Namespace: unknownName, Name: unknownName}
}

// provision fills the target in from its trigger.
func (t *target) provision(h *Handler, compiled *route.Trigger) {
	if t.functions != nil {
		return // a trigger of several hosts stands in the table several times
	}
	c := t.trigger
	// A table of many triggers is much for the garbage collector to walk: what
	// is not needed any more goes.
	t.trigger, t.configured = nil, true
	t.name, t.pattern = c.Name, c.Path
	if t.name == "" {
		t.name = c.Path
	}
	t.upstreamPath = c.UpstreamPath
	t.streamIdle, t.streamMax = time.Duration(c.StreamIdleTimeout), time.Duration(c.StreamMaxDuration)
	if t.streamIdle == 0 {
		t.streamIdle = defaultStreamIdle
	}
	t.preserveHost = c.PreserveHost
	t.serverTiming = c.ServerTiming || h.ServerTiming
	for _, w := range compiled.Functions {
		fn := h.app.named(w.Ref)
		timeout := fn.Timeout
		if c.Timeout != 0 {
			timeout = time.Duration(c.Timeout)
		}
		t.functions = append(t.functions, fn)
		t.timeouts = append(t.timeouts, timeout)
	}
}

// singleTarget is the target of requests that reach one function without a
// trigger.
func (h *Handler) singleTarget(ref function.Ref, pattern, upstreamPath string) *target {
	fn := h.app.function(ref)
	return &target{
		pattern: pattern, upstreamPath: upstreamPath,
		functions: []*function.Function{fn}, timeouts: []time.Duration{fn.Timeout},
		streamIdle: defaultStreamIdle, serverTiming: h.ServerTiming,
	}
}

// Sources of a sticky key, as the configuration names them.
const (
	stickyCookie   = route.StickyCookie
	stickyHeader   = route.StickyHeader
	stickyQuery    = route.StickyQuery
	stickyClientIP = route.StickyClientIP
)

// pick chooses one of the trigger's functions. newKey is not empty if the
// client needs a cookie to be known again.
func pick(m *route.Match, r *http.Request) (index int, newKey string) {
	if len(m.Trigger.Functions) == 1 {
		return 0, ""
	}
	key := ""
	switch sticky := m.Trigger.Sticky; sticky.Source {
	case stickyCookie:
		if c, err := r.Cookie(sticky.Name); err == nil && c.Value != "" {
			key = c.Value
		} else {
			key = crand.Text()
			newKey = key
		}
	case stickyHeader:
		key = r.Header.Get(sticky.Name)
	case stickyQuery:
		key = r.URL.Query().Get(sticky.Name)
	case stickyClientIP:
		key = clientIP(r.Context(), r.RemoteAddr)
	}
	if key == "" {
		return m.Picker.Pick(rand.Uint64()), ""
	}
	return m.Picker.PickKey(key), newKey
}

// setStickyCookie makes the client known again.
func setStickyCookie(w http.ResponseWriter, r *http.Request, name, key string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: key, Path: "/",
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}
