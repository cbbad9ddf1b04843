package kubefaas

import (
	"bytes"
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/process"
)

// UnmarshalCaddyfile sets up the remote executor. Syntax:
//
//	executor http <url> {
//		api v1|v2
//		signing_secret <secret>
//		tls {
//			...
//		}
//	}
func (e *HTTPExecutor) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if err := one(&e.URL, text)(d); err != nil {
		return err
	}
	return parseBlock(d, words{
		"api":            one(&e.API, oneOf("API", executor.APIv1, executor.APIv2)),
		"signing_secret": one(&e.SigningSecret, text),
		"tls":            func(d *caddyfile.Dispenser) error { return e.unmarshalTLS(d) },
	})
}

// unmarshalTLS reads the words that reverse_proxy's http transport has for
// TLS, and refuses its others.
func (e *HTTPExecutor) unmarshalTLS(d *caddyfile.Dispenser) error {
	at := *d
	if d.CountRemainingArgs() > 0 {
		return d.ArgErr()
	}
	var t reverseproxy.HTTPTransport
	if err := t.UnmarshalCaddyfile(d.NewFromNextSegment()); err != nil {
		return err
	}
	e.TLS = t.TLS
	if e.TLS == nil {
		e.TLS = new(reverseproxy.TLSConfig)
	}
	t.TLS = nil
	if rest, err := json.Marshal(t); err != nil || !bytes.Equal(rest, []byte("{}")) {
		return at.Errf("tls: only words about TLS may stand here, such as tls_server_name")
	}
	return nil
}

// UnmarshalCaddyfile sets up fixed addresses. Syntax:
//
//	executor static {
//		[<namespace>/]<function> <address...>
//	}
func (e *StaticExecutor) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		ref, err := parseFunctionRef(d.Val())
		if err != nil {
			return d.WrapErr(err)
		}
		f := StaticFunction{Namespace: ref.Namespace, Name: ref.Name}
		if err := some(&f.Addresses)(d); err != nil {
			return err
		}
		e.Functions = append(e.Functions, f)
		if _, err := e.build(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

// UnmarshalCaddyfile sets up local programs. Syntax:
//
//	executor process {
//		function [<namespace>/]<name> {
//			command <program> [<args...>]
//			dir <path>
//			env <key> <value>
//			ready tcp | http <path>
//			start_timeout <duration>
//			idle_timeout <duration>
//			stop_timeout <duration>
//			instances <min> <max>
//			user <name>
//		}
//	}
func (e *ProcessExecutor) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return parseBlock(d, words{
		"function": func(d *caddyfile.Dispenser) error { return e.unmarshalFunction(d) },
	}, "function")
}

func (e *ProcessExecutor) unmarshalFunction(d *caddyfile.Dispenser) error {
	at := *d
	ref, err := functionArg(d)
	if err != nil {
		return err
	}
	if e.Knows(refOf(ref.Namespace, ref.Name)) {
		return d.Errf("function %s has two programs", ref.Name)
	}
	f := ProcessFunction{Namespace: ref.Namespace, Name: ref.Name}
	err = parseBlock(d, words{
		"command":       some(&f.Command),
		"dir":           one(&f.Dir, text),
		"env":           func(d *caddyfile.Dispenser) error { return f.unmarshalEnv(d) },
		"ready":         func(d *caddyfile.Dispenser) error { return f.unmarshalReady(d) },
		"start_timeout": one(&f.StartTimeout, positive),
		"idle_timeout":  one(&f.IdleTimeout, positive),
		"stop_timeout":  one(&f.StopTimeout, positive),
		"instances":     func(d *caddyfile.Dispenser) error { return f.unmarshalInstances(d) },
		"user":          one(&f.User, text),
	}, "env")
	if err != nil {
		return err
	}
	// Users are another machine's matter when a file is only adapted here.
	judged := f
	judged.User = ""
	spec, err := judged.spec()
	if err == nil {
		err = spec.WithDefaults().Validate()
	}
	if err != nil {
		return at.WrapErr(err)
	}
	e.Functions = append(e.Functions, f)
	return nil
}

func (f *ProcessFunction) unmarshalEnv(d *caddyfile.Dispenser) error {
	var key, value string
	if !d.AllArgs(&key, &value) {
		return d.ArgErr()
	}
	if _, twice := f.Env[key]; twice {
		return d.Errf("env %s stands twice", key)
	}
	if f.Env == nil {
		f.Env = make(map[string]string)
	}
	f.Env[key] = value
	return nil
}

func (f *ProcessFunction) unmarshalReady(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == process.ReadyTCP:
		f.Ready = &ProcessReady{Probe: args[0]}
	case len(args) == 2 && args[0] == process.ReadyHTTP:
		f.Ready = &ProcessReady{Probe: args[0], Path: args[1]}
	case len(args) > 0 && args[0] != process.ReadyTCP && args[0] != process.ReadyHTTP:
		return d.Errf("ready: %q is neither tcp nor http", args[0])
	default:
		return d.ArgErr()
	}
	return nil
}

func (f *ProcessFunction) unmarshalInstances(d *caddyfile.Dispenser) error {
	var least, most string
	if !d.AllArgs(&least, &most) {
		return d.ArgErr()
	}
	f.Instances = new(ProcessInstances)
	for _, n := range []struct {
		text string
		dst  *int
	}{{least, &f.Instances.Min}, {most, &f.Instances.Max}} {
		v, err := number(n.text)
		if err != nil {
			return d.Errf("instances: %q is not a whole number", n.text)
		}
		*n.dst = v
	}
	return nil
}
