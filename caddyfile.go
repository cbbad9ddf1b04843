package kubefaas

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

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
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
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
		"trigger": func(d *caddyfile.Dispenser) error { return h.unmarshalTrigger(d) },
		"internal": func(d *caddyfile.Dispenser) error {
			h.Internal = defaultInternalPath
			if d.CountRemainingArgs() == 0 {
				return nil
			}
			return one(&h.Internal, text)(d)
		},
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
	// The whole table is judged here already, since only here a message can
	// say in which line of which file a trigger stands.
	if _, err := h.compile(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *Handler) unmarshalTrigger(d *caddyfile.Dispenser) error {
	t := Trigger{where: fmt.Sprintf("%s:%d", d.File(), d.Line())}
	args := d.RemainingArgs()
	if len(args) > 0 && !strings.HasPrefix(args[0], "/") {
		if len(args) > 1 && strings.HasPrefix(args[1], "/") {
			for m := range strings.SplitSeq(args[0], ",") {
				t.Methods = append(t.Methods, strings.ToUpper(m))
			}
			args = args[1:]
		} else {
			return d.Errf("trigger: the path %q does not begin with a slash", args[0])
		}
	}
	if len(args) < 2 {
		return d.ArgErr()
	}
	t.Path = restoreVariables(args[0])
	for i := 1; i < len(args); i++ {
		ref, err := parseFunctionRef(args[i])
		if err != nil {
			return d.Errf("trigger %s: %v", t.Path, err)
		}
		f := WeightedFunction{Namespace: ref.Namespace, Name: ref.Name}
		if i+1 < len(args) {
			i++
			n, err := strconv.Atoi(args[i])
			if err != nil {
				return d.Errf("trigger %s: function %s: the weight %q is not a whole number", t.Path, f.Name, args[i])
			}
			f.Weight = &n
		} else if len(args) > 2 {
			return d.Errf("trigger %s: function %s needs a weight, since it is not the only one", t.Path, f.Name)
		}
		t.Functions = append(t.Functions, f)
	}
	err := parseBlock(d, words{
		"name":                one(&t.Name, text),
		"host":                some(&t.Hosts),
		"sticky":              func(d *caddyfile.Dispenser) error { return t.unmarshalSticky(d) },
		"upstream_path":       one(&t.UpstreamPath, text),
		"timeout":             one(&t.Timeout, duration),
		"stream_idle_timeout": one(&t.StreamIdleTimeout, duration),
		"stream_max_duration": one(&t.StreamMaxDuration, duration),
		"preserve_host":       flag(&t.PreserveHost),
		"server_timing":       flag(&t.ServerTiming),
	})
	if err != nil {
		return err
	}
	t.ID = t.Name
	h.Triggers = append(h.Triggers, t)
	return nil
}

func (t *Trigger) unmarshalSticky(d *caddyfile.Dispenser) error {
	t.Sticky = new(Sticky)
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == stickyClientIP:
	case len(args) == 2 && args[0] != stickyClientIP:
		t.Sticky.Name = args[1]
	default:
		return d.ArgErr()
	}
	t.Sticky.Source = args[0]
	return nil
}

// bracedName is a path variable without a regular expression, or what the
// adapter made of it.
var bracedName = regexp.MustCompile(`\{[^{}:]*\}`)

// restoreVariables undoes what the Caddyfile adapter does to path variables
// that are named like one of its placeholder shorthands: it turns {path} into
// {http.request.uri.path} before the directive sees it.
func restoreVariables(path string) string {
	return bracedName.ReplaceAllStringFunc(path, func(s string) string {
		if short := httpcaddyfile.WasReplacedPlaceholderShorthand(s); short != "" {
			return short
		}
		return s
	})
}

// parseFunctionRef reads "[<namespace>/]<name>" and leaves the namespace empty
// where there is none, so that the JSON shows what the user wrote.
func parseFunctionRef(s string) (FunctionRef, error) {
	if _, err := function.ParseRef(s); err != nil {
		return FunctionRef{}, err
	}
	return splitRef(s), nil
}

// compile builds the route table, for its errors too.
func (h *Handler) compile() (*table, error) {
	var errs []error
	for i := range h.Triggers {
		if err := h.Triggers[i].validate(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for i := range h.Triggers {
		for j, m := range h.Triggers[i].Methods {
			h.Triggers[i].Methods[j] = strings.ToUpper(m)
			if !isMethod(m) {
				return nil, fmt.Errorf("%s: %q is not a method", h.Triggers[i].label(), m)
			}
		}
	}
	return newTable(h.Triggers, h.Internal)
}

// isMethod says whether s can be a request's method.
func isMethod(s string) bool {
	_, err := http.NewRequest(s, "/", nil) //nolint:noctx // only the method is looked at
	return s != "" && err == nil
}
