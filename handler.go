package kubefaas

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// Handler is the router: it finds the function that a request is for and
// brings the request there, starting the function if need be.
//
// It sets these placeholders:
//
// Placeholder | Description
// ------------|---------------
// `{http.kubefaas.function}` | The function's name
// `{http.kubefaas.namespace}` | The function's namespace
// `{http.kubefaas.trigger}` | The trigger's name, or its path if it has none
// `{http.kubefaas.params.<var>}` | A variable of the trigger's path
// `{http.kubefaas.address}` | The address that was tried last
// `{http.kubefaas.attempts}` | How many attempts it took
// `{http.kubefaas.cold_start}` | `true` if the request waited for the function to start
// `{http.kubefaas.match_ms}`, `.wait_ms`, `.start_ms`, `.dial_ms`, `.ttfb_ms` | The parts of the time to the response's headers, in milliseconds, as Server-Timing has them
// `{http.kubefaas.error.reason}` | Why the request failed
type Handler struct {
	// The function that gets every request no trigger claims.
	Function *FunctionRef `json:"function,omitempty"`

	// Which requests go to which functions.
	Triggers []Trigger `json:"triggers,omitempty"`

	// Where every function can be reached by its name, below this path:
	// `/<name>` and `/<namespace>/<name>`. Whoever can reach this site can
	// then call every function. Default: nowhere.
	Internal string `json:"internal,omitempty"`

	// Answer `GET /` with an empty 200 unless a trigger claims it.
	Home bool `json:"home,omitempty"`

	// Answer `GET /router-healthz` and `GET /readyz`.
	Health bool `json:"health,omitempty"`

	// Hand requests without a trigger to the next handler instead of
	// answering 404.
	PassThru bool `json:"pass_thru,omitempty"`

	// Give functions path variables as they stand in the URL, percent-encoded.
	EncodedPath bool `json:"encoded_path,omitempty"`

	// Write the Server-Timing and the Cold header on every response.
	ServerTiming bool `json:"server_timing,omitempty"`

	// Tell clients all that is known of a failure: addresses, the executor's
	// text, the last output of a crashed program. Not for a public site.
	Debug bool `json:"debug,omitempty"`

	app      *App
	table    *table
	fallback *target // Function's
	logger   *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.kubefaas", New: func() caddy.Module { return new(Handler) }}
}

// Provision joins the app and compiles the triggers.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	h.app = app.(*App)
	if h.table, err = h.compile(); err != nil {
		return err
	}
	for _, t := range h.table.routes.Triggers() {
		t.Data.(*target).provision(h, t)
		for _, f := range t.Functions {
			h.app.known[f.Ref] = true
		}
	}
	h.Triggers = nil // the table has them
	if h.Function != nil {
		ref := refOf(h.Function.Namespace, h.Function.Name)
		h.app.known[ref] = true
		h.fallback = h.singleTarget(ref, "/*", upstreamKeep)
	}
	h.app.handlers = append(h.app.handlers, h)
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		rememberConns(srv)
	}
	return nil
}

// Validate judges what stands outside of the triggers.
func (h *Handler) Validate() error {
	var errs []error
	if h.Function != nil {
		if err := refOf(h.Function.Namespace, h.Function.Name).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("function: %w", err))
		}
	}
	if h.Internal != "" && !strings.HasPrefix(h.Internal, "/") {
		errs = append(errs, fmt.Errorf("internal: the path %q does not begin with a slash", h.Internal))
	}
	return errors.Join(errs...)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
