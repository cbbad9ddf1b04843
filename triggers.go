package kubefaas

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/route"
)

// Trigger maps requests to a function, or to several by weight.
type Trigger struct {
	// The trigger's name, for messages, the `trigger` placeholder and the admin
	// API. The Caddyfile adapter writes it as `@id` too, so that
	// `PATCH /id/<name>` reaches the trigger.
	Name string `json:"name,omitempty"`

	// The path: an exact pattern (`/orders/{id}`, `/orders/{id:[0-9]+}`) or a
	// prefix (`/orders/*`).
	Path string `json:"path"`

	// The methods. Default: every method.
	Methods []string `json:"methods,omitempty"`

	// The hosts; `*.example.com` is any one label. Default: every host.
	Hosts []string `json:"hosts,omitempty"`

	// The function, or several with weights.
	Functions []WeightedFunction `json:"functions"`

	// What keeps a client at one of several functions. Default: nothing.
	Sticky *Sticky `json:"sticky,omitempty"`

	// What path the function sees: `root` is `/`, `strip` is the path behind
	// the prefix, `keep` is the client's. Default: `root` for an exact path,
	// `strip` for a prefix.
	UpstreamPath string `json:"upstream_path,omitempty"`

	// The function's timeout for requests of this trigger. Default: the
	// function's own.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How long a response may be silent once its headers came; not for
	// upgraded connections. Default: `60s`.
	StreamIdleTimeout caddy.Duration `json:"stream_idle_timeout,omitempty"`

	// How long a response may last once its headers came. Default: no limit.
	StreamMaxDuration caddy.Duration `json:"stream_max_duration,omitempty"`

	// Send the client's Host instead of the function's address.
	PreserveHost bool `json:"preserve_host,omitempty"`

	// Write the Server-Timing and the Cold header on responses of this trigger.
	ServerTiming bool `json:"server_timing,omitempty"`

	// ID is the name once more, as Caddy's admin API wants it. The Caddyfile
	// adapter fills it in; Caddy strips it when it loads a configuration.
	ID string `json:"@id,omitempty"`

	// where the trigger stands in a Caddyfile, for messages.
	where string
}

// WeightedFunction is a function and its share of the requests.
type WeightedFunction struct {
	// The function's namespace. Default: `default`.
	Namespace string `json:"namespace,omitempty"`

	// The function's name.
	Name string `json:"name"`

	// Its share: the weight divided by the sum of all weights; 0 never gets a
	// request. Default: `1` for an only function.
	Weight *int `json:"weight,omitempty"`
}

// FunctionWeightDistribution is v1.8's name for WeightedFunction.
type FunctionWeightDistribution = WeightedFunction

// Sticky says what keeps a client at one of several functions.
type Sticky struct {
	// `cookie`, `header`, `query` or `client_ip`.
	Source string `json:"source"`

	// The name of the cookie, header or query parameter.
	Name string `json:"name,omitempty"`
}

// Values of a trigger's upstream_path.
const (
	upstreamRoot  = "root"
	upstreamStrip = "strip"
	upstreamKeep  = "keep"
)

// defaultStreamIdle is a trigger's stream_idle_timeout.
const defaultStreamIdle = 60 * time.Second

// validate judges what the route table does not.
func (t *Trigger) validate() error {
	var errs []error
	switch t.UpstreamPath {
	case "", upstreamRoot, upstreamStrip, upstreamKeep:
	default:
		errs = append(errs, fmt.Errorf("upstream_path: %q is not one of root, strip, keep", t.UpstreamPath))
	}
	for _, d := range []struct {
		name string
		is   caddy.Duration
	}{{"timeout", t.Timeout}, {"stream_idle_timeout", t.StreamIdleTimeout}, {"stream_max_duration", t.StreamMaxDuration}} {
		if d.is < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative", d.name, time.Duration(d.is)))
		}
	}
	for _, f := range t.Functions {
		if err := refOf(f.Namespace, f.Name).Validate(); err != nil {
			errs = append(errs, fmt.Errorf("function: %w", err))
		}
		if f.Weight == nil && len(t.Functions) > 1 {
			errs = append(errs, fmt.Errorf("function %s: it needs a weight, since it is not the only one", f.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", t.label(), err)
	}
	return nil
}

// label names the trigger in a message.
func (t *Trigger) label() string {
	s := fmt.Sprintf("trigger %q", t.Name)
	if t.Name == "" {
		s = fmt.Sprintf("trigger %q", t.Path)
	}
	return s
}

// weights are the functions as the route table takes them.
func (t *Trigger) weights() []route.Weighted {
	out := make([]route.Weighted, len(t.Functions))
	for i, f := range t.Functions {
		out[i] = route.Weighted{Ref: refOf(f.Namespace, f.Name), Weight: 1}
		if f.Weight != nil {
			out[i].Weight = *f.Weight
		}
	}
	return out
}

// hosts are the trigger's hosts with configuration-time placeholders, such as
// {env.HOST}, replaced.
func (t *Trigger) hosts() ([]string, error) {
	repl := caddy.NewReplacer()
	out := make([]string, len(t.Hosts))
	for i, h := range t.Hosts {
		s, err := repl.ReplaceOrErr(h, true, true)
		if err != nil {
			return nil, fmt.Errorf("%s: host %q: %w", t.label(), h, err)
		}
		out[i] = s
	}
	return out, nil
}
