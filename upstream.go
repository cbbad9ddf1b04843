package kubefaas

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Upstreams is a source of upstreams for `reverse_proxy`: the address of one
// function, started if need be.
//
// With `transport kubefaas` beside it, a function that cannot be had is
// answered with its own status and reason. With another transport it is a 503,
// since `reverse_proxy` does not tell the client what a source says.
type Upstreams struct {
	// The function. Placeholders of the request are allowed.
	Function FunctionRef `json:"function"`

	// How to try again. Default: as the app does.
	Retry *Retry `json:"retry,omitempty"`

	app    *App
	policy *policy
	fixed  *function.Function // nil if the function depends on the request
	target *target            // fixed's, for the metrics
	proxy  *reverseproxy.Handler
}

// CaddyModule returns the Caddy module information.
func (*Upstreams) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.kubefaas", New: func() caddy.Module { return new(Upstreams) }}
}

// Provision joins the app.
func (u *Upstreams) Provision(ctx caddy.Context) error {
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	u.app = app.(*App)
	u.policy = u.app.policy.withRetry(u.app, u.Retry)
	for _, parent := range ctx.Modules() {
		if proxy, ok := parent.(*reverseproxy.Handler); ok {
			u.proxy = proxy
		}
	}
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		rememberConns(srv)
	}
	if !u.Function.hasPlaceholder() {
		u.fixed = u.app.function(refOf(u.Function.Namespace, u.Function.Name))
		u.app.known[u.fixed.Ref] = true
		u.target = &target{configured: true}
	}
	return nil
}

// Validate judges the function's name and the retry settings.
func (u *Upstreams) Validate() error {
	if u.fixed != nil {
		if err := u.fixed.Ref.Validate(); err != nil {
			return fmt.Errorf("function: %w", err)
		}
	}
	if err := u.Retry.validate(); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	return nil
}

// UnmarshalCaddyfile sets up the source. Syntax:
//
//	dynamic kubefaas [<namespace>/]<function> {
//		retry {
//			...
//		}
//	}
func (u *Upstreams) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.ArgErr()
	}
	u.Function = splitRef(args[0])
	if !u.Function.hasPlaceholder() {
		if _, err := parseFunctionRef(args[0]); err != nil {
			return d.WrapErr(err)
		}
	}
	return parseBlock(d, words{
		"retry": func(d *caddyfile.Dispenser) error { return unmarshalRetry(d, &u.Retry) },
	})
}

// nowhere stands for an address that there is not, for a transport that knows
// why. Nothing listens on port 0.
const nowhere = "127.0.0.1:0"

// GetUpstreams gives the function's address. It waits until there is one.
func (u *Upstreams) GetUpstreams(r *http.Request) ([]*reverseproxy.Upstream, error) {
	if before, ok := caddyhttp.GetVar(r.Context(), proxiedVar).(*proxied); ok {
		before.release() // reverse_proxy tries again by itself
	}
	p := u.proxied(r)
	calls.Add(1)
	p.publish(r)
	x := &p.exchange
	if p.fn, p.err = u.function(r); p.err == nil {
		x.Function, x.Executor, x.Policy = p.fn, u.app.executor, &u.policy.Policy
		x.Timeout, x.Span = p.fn.Timeout, spanOf(r)
		x.Values = withRequestID(r.Context(), p.requestID)
		x.Lease, p.err = u.app.state.invoker.Acquire(r.Context(), x)
	}
	ours := u.hasOurTransport()
	if p.err != nil && !ours {
		p.unknownTo(r)
		return nil, p.err
	}
	caddyhttp.SetVar(r.Context(), proxiedVar, p)
	if p.err != nil {
		return []*reverseproxy.Upstream{{Dial: nowhere}}, nil //nolint:nilerr // the transport tells it
	}
	// The transport gives the address back when the response has ended; another
	// one knows nothing of it, and reverse_proxy may never come to call it.
	context.AfterFunc(r.Context(), x.Lease.Release)
	if !ours {
		x.Lease.Responding()
		x.Address, x.Cached, p.headersAt = x.Lease.Address(), x.Lease.Cached, time.Now()
		p.log(r)
	}
	return []*reverseproxy.Upstream{{Dial: x.Lease.Address()}}, nil
}

// hasOurTransport says whether the proxy's transport is this module's.
func (u *Upstreams) hasOurTransport() bool {
	if u.proxy == nil {
		return false
	}
	_, ours := u.proxy.Transport.(*Transport)
	return ours
}

// function is the function that a request is for.
func (u *Upstreams) function(r *http.Request) (*function.Function, error) {
	if u.fixed != nil {
		return u.fixed, nil
	}
	repl := replacerOf(r)
	ref := refOf(repl.ReplaceAll(u.Function.Namespace, ""), repl.ReplaceAll(u.Function.Name, ""))
	if namespace, name, ok := strings.Cut(ref.Name, "/"); ok && u.Function.Namespace == "" {
		ref = refOf(namespace, name)
	}
	if err := ref.Validate(); err != nil {
		return nil, &failure{status: http.StatusBadGateway, reason: reasonNoFunction, err: fmt.Errorf("function: %w", err)}
	}
	return u.app.function(ref), nil
}

// Interface guards
var (
	_ reverseproxy.UpstreamSource = (*Upstreams)(nil)
	_ caddy.Provisioner           = (*Upstreams)(nil)
	_ caddy.Validator             = (*Upstreams)(nil)
	_ caddyfile.Unmarshaler       = (*Upstreams)(nil)
)
