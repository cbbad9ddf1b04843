package kubefaas

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(Handler))
	caddy.RegisterModule(new(Upstreams))
	caddy.RegisterModule(new(Transport))
	caddy.RegisterModule(new(HTTPExecutor))
	caddy.RegisterModule(new(ProcessExecutor))
	caddy.RegisterModule(new(StaticExecutor))
	caddy.RegisterModule(new(AdminAPI))

	httpcaddyfile.RegisterGlobalOption(appID, parseGlobalOption)
	httpcaddyfile.RegisterHandlerDirective(appID, parseDirective)
	httpcaddyfile.RegisterDirectiveOrder(appID, httpcaddyfile.Before, "reverse_proxy")
}

// defaultInternalPath is where `internal` without a path stands.
const defaultInternalPath = "/kubefaas-function"

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return handler, handler.claimNames(h.State)
}

// parseGlobalOption makes the app of the global option.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Errf("the global option %s stands twice", d.Val())
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appID, Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the handler. Syntax:
//
//	kubefaas [<matcher>] [[<namespace>/]<function>] {
//		trigger [<methods>] <path> <function> [<weight>] [<function> <weight>]... {
//			name <name>
//			host <host...>
//			sticky cookie|header|query <name> | client_ip
//			upstream_path root|strip|keep
//			timeout <duration>
//			stream_idle_timeout <duration>
//			stream_max_duration <duration>
//			preserve_host
//			server_timing
//		}
//		internal [<path>]
//		home
//		health
//		pass_thru
//		encoded_path
//		server_timing
//		debug
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	switch args := d.RemainingArgs(); len(args) {
	case 0:
	case 1:
		ref, err := parseFunctionRef(args[0])
		if err != nil {
			return d.WrapErr(err)
		}
		h.Function = &ref
	default:
		return d.ArgErr()
	}
	err := parseBlock(d, words{
		"trigger":       func(d *caddyfile.Dispenser) error { return h.unmarshalTrigger(d) },
		"internal":      func(d *caddyfile.Dispenser) error { return h.unmarshalInternal(d) },
		"home":          flag(&h.Home),
		"health":        flag(&h.Health),
		"pass_thru":     flag(&h.PassThru),
		"encoded_path":  flag(&h.EncodedPath),
		"server_timing": flag(&h.ServerTiming),
		"debug":         flag(&h.Debug),
	}, "trigger")
	if err != nil {
		return err
	}
	// Each trigger has been judged by itself. How they go together is judged
	// here already, since only here a message can say in which line of which
	// file each of them stands.
	_, err = h.compile()
	return err
}

func (h *Handler) unmarshalInternal(d *caddyfile.Dispenser) error {
	h.Internal = defaultInternalPath
	if d.CountRemainingArgs() == 0 {
		return nil
	}
	if err := one(&h.Internal, text)(d); err != nil {
		return err
	}
	return located(d, checkInternal(h.Internal))
}

// parseFunctionRef reads "[<namespace>/]<name>" and leaves the namespace empty
// where there is none, so that the JSON shows what the user wrote.
func parseFunctionRef(s string) (FunctionRef, error) {
	if _, err := function.ParseRef(s); err != nil {
		return FunctionRef{}, err
	}
	return splitRef(s), nil
}
