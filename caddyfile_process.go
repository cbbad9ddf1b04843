package kubefaas

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
)

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
		return d.Errf("function %s has two programs", refOf(ref.Namespace, ref.Name))
	}
	f := ProcessFunction{Namespace: ref.Namespace, Name: ref.Name}
	err = parseBlock(d, words{
		"command":       func(d *caddyfile.Dispenser) error { return f.unmarshalCommand(d) },
		"dir":           one(&f.Dir, text),
		"env":           func(d *caddyfile.Dispenser) error { return f.unmarshalEnv(d) },
		"ready":         func(d *caddyfile.Dispenser) error { return f.unmarshalReady(d) },
		"start_timeout": one(&f.StartTimeout, positive),
		"idle_timeout":  one(&f.IdleTimeout, positive),
		"stop_timeout":  one(&f.StopTimeout, positive),
		"instances":     func(d *caddyfile.Dispenser) error { return f.unmarshalInstances(d) },
		"user":          one(&f.User, text),
	}, "env")
	if err == nil && len(f.Command) == 0 {
		err = at.Err("it has no command")
	}
	if err != nil {
		return fmt.Errorf("function %s: %w", refOf(ref.Namespace, ref.Name), err)
	}
	e.Functions = append(e.Functions, f)
	return nil
}

func (f *ProcessFunction) unmarshalCommand(d *caddyfile.Dispenser) error {
	if err := some(&f.Command)(d); err != nil {
		return err
	}
	if strings.TrimSpace(f.Command[0]) == "" {
		return d.Err("command: the program is empty")
	}
	return nil
}

// judgeAlone says what is wrong with one option of a program.
func judgeAlone(d *caddyfile.Dispenser, f ProcessFunction) error {
	f.Name, f.Command = "x", []string{"x"}
	spec, err := f.spec()
	if err == nil {
		err = spec.WithDefaults().Validate()
	}
	if err == nil {
		return nil
	}
	// Whoever reads the function names it.
	_, text, _ := strings.Cut(err.Error(), "function "+spec.Ref.String()+": ")
	return d.Err(text)
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
	return judgeAlone(d, ProcessFunction{Env: map[string]string{key: value}})
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
	return judgeAlone(d, ProcessFunction{Ready: f.Ready})
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
			return d.Errf("instances: %v", err)
		}
		*n.dst = v
	}
	return judgeAlone(d, ProcessFunction{Instances: f.Instances})
}
