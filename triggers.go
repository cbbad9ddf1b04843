package kubefaas

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"

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
	// adapting is set while the Caddyfile is read, perhaps not on the machine
	// that will run it.
	adapting bool
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

// maxTriggerErrors is how many triggers one message complains of.
const maxTriggerErrors = 10

// errNameTaken is wrapped by the error of two triggers with one name.
var errNameTaken = errors.New("its name is taken by the trigger")

// compile judges the triggers and builds their table.
func (h *Handler) compile() (*table, error) {
	if err := checkInternal(h.Internal); err != nil {
		return nil, err
	}
	var errs []error
	names := make(map[string]*Trigger)
	for i := range h.Triggers {
		t := &h.Triggers[i]
		err := t.validate()
		if nameErr := checkName(t.Name); nameErr != nil {
			err = fmt.Errorf("name: %w", nameErr)
		}
		if other := names[t.Name]; err == nil && other != nil {
			err = fmt.Errorf("%w of path %q%s", errNameTaken, other.Path, other.at())
		}
		if t.Name != "" {
			names[t.Name] = t
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.place(), err))
		}
		if len(errs) == maxTriggerErrors {
			break
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return newTable(h.Triggers, h.Internal)
}

// checkInternal judges the path of the internal routes; none is fine.
func checkInternal(s string) error {
	switch {
	case s == "":
	case !strings.HasPrefix(s, "/"):
		return fmt.Errorf("internal: the path %q does not begin with a slash", s)
	case s == "/":
		return errors.New("internal: the path \"/\" would hide all other paths: give it a name")
	case strings.ContainsAny(s, "{}*?#%") || path.Clean(s) != strings.TrimSuffix(s, "/"):
		return fmt.Errorf("internal: %q is not a plain path", s)
	}
	return nil
}

// checkName judges a trigger's name, which is its @id too.
func checkName(s string) error {
	if strings.ContainsFunc(s, func(c rune) bool { return c == '/' || unicode.IsControl(c) }) {
		return fmt.Errorf("%q has a slash or a control character in it: /id/<name> would not reach it", s)
	}
	return nil
}

// validate judges what the route table does not. Whoever asks names the trigger.
func (t *Trigger) validate() error {
	switch t.UpstreamPath {
	case "", upstreamRoot, upstreamStrip, upstreamKeep:
	default:
		return fmt.Errorf("upstream_path: %q is not one of root, strip, keep", t.UpstreamPath)
	}
	for _, d := range []struct {
		name string
		is   caddy.Duration
	}{{"timeout", t.Timeout}, {"stream_idle_timeout", t.StreamIdleTimeout}, {"stream_max_duration", t.StreamMaxDuration}} {
		if d.is < 0 {
			return fmt.Errorf("%s: %s is negative", d.name, time.Duration(d.is))
		}
	}
	if t.Sticky != nil && t.Sticky.Source == "" {
		return errors.New("sticky: it has no source (cookie, header, query or client_ip)")
	}
	for _, f := range t.Functions {
		if err := refOf(f.Namespace, f.Name).Validate(); err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
		if f.Weight == nil && len(t.Functions) > 1 {
			return fmt.Errorf("function %s: it needs a weight, since it is not the only one", f.Name)
		}
	}
	return nil
}

// label names the trigger in a message.
func (t *Trigger) label() string {
	if t.Name == "" {
		return fmt.Sprintf("trigger %q", t.Path)
	}
	return fmt.Sprintf("trigger %q", t.Name)
}

// place is the label, behind the file and the line where they are known.
func (t *Trigger) place() string {
	if t.where == "" {
		return t.label()
	}
	return t.where + ": " + t.label()
}

// at is where the trigger stands, in a form to append, or nothing.
func (t *Trigger) at() string {
	if t.where == "" {
		return ""
	}
	return " at " + t.where
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
		s, err := repl.ReplaceOrErr(h, !t.adapting, true)
		if err != nil {
			return nil, fmt.Errorf("%s: host %q: %w", t.place(), h, err)
		}
		if t.adapting && s != h {
			s = standIn.ReplaceAllStringFunc(h, func(s string) string { return notHost.ReplaceAllString(s[1:len(s)-1], "-") })
		}
		out[i] = s
	}
	return out, nil
}

// A placeholder may have its value only on the machine where the configuration
// will run. Until then its own name stands for it.
var (
	standIn = regexp.MustCompile(`\{[^{}]*\}`)
	notHost = regexp.MustCompile(`[^A-Za-z0-9]`)
)
