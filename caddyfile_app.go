package kubefaas

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// UnmarshalCaddyfile sets up the app. Syntax:
//
//	kubefaas {
//		executor <name> ...
//		function [<namespace>/]<name> {
//			uid <uid>
//			resource_version <version>
//			executor_type poolmgr|newdeploy|container
//			timeout <duration>
//			concurrency <n>
//			protocol http|h2c
//		}
//		address_ttl <duration>
//		cold_start_timeout <duration>
//		max_waiting <n>
//		max_waiting_total <n>
//		max_waiting_bytes <size>
//		max_replay_body <size>
//		tap_interval <duration>
//		header_prefix <word>
//		retry {
//			initial_interval <duration>
//			multiplier <factor>
//			max_attempts <n>
//			address_attempts <n>
//			max_interval <duration>
//			jitter <fraction>
//		}
//		analytics <url> [<interval>]
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return parseBlock(d, words{
		"executor":           func(d *caddyfile.Dispenser) error { return a.unmarshalExecutor(d) },
		"function":           func(d *caddyfile.Dispenser) error { return a.unmarshalFunction(d) },
		"address_ttl":        one(&a.AddressTTL, positive),
		"cold_start_timeout": one(&a.ColdStartTimeout, positive),
		"max_waiting":        one(&a.MaxWaiting, count),
		"max_waiting_total":  one(&a.MaxWaitingTotal, count),
		"max_waiting_bytes":  one(&a.MaxWaitingBytes, size),
		"max_replay_body":    one(&a.MaxReplayBody, size),
		"tap_interval":       one(&a.TapInterval, positive),
		"header_prefix":      one(&a.HeaderPrefix, headerWord),
		"retry":              func(d *caddyfile.Dispenser) error { return unmarshalRetry(d, &a.Retry) },
		"analytics":          func(d *caddyfile.Dispenser) error { return a.unmarshalAnalytics(d) },
	}, "function")
}

func (a *App) unmarshalExecutor(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	id := "kubefaas.executors." + name
	if _, err := caddy.GetModule(id); err != nil {
		return d.Errf("executor: %q is not an executor: http, process and static are", name)
	}
	mod, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	if _, ok := mod.(Executor); !ok {
		return d.Errf("executor: the module %s is not an executor", id)
	}
	a.ExecutorRaw = caddyconfig.JSONModuleObject(mod, "executor", name, nil)
	return nil
}

func (a *App) unmarshalFunction(d *caddyfile.Dispenser) error {
	ref, err := functionArg(d)
	if err != nil {
		return err
	}
	f := FunctionConfig{Namespace: ref.Namespace, Name: ref.Name}
	for _, other := range a.Functions {
		if other.ref() == f.ref() {
			return d.Errf("function %s is configured twice", f.ref())
		}
	}
	err = parseBlock(d, words{
		"uid":              one(&f.UID, text),
		"resource_version": one(&f.ResourceVersion, text),
		"executor_type":    one(&f.ExecutorType, oneOf("function type", functionTypes...)),
		"timeout":          one(&f.Timeout, positive),
		"concurrency":      one(&f.Concurrency, count),
		"protocol":         one(&f.Protocol, oneOf("protocol", function.HTTP, function.H2C)),
	})
	if err != nil {
		return fmt.Errorf("function %s: %w", f.ref(), err)
	}
	a.Functions = append(a.Functions, f)
	return nil
}

// functionArg reads the only argument of a word, a function's name.
func functionArg(d *caddyfile.Dispenser) (FunctionRef, error) {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return FunctionRef{}, d.ArgErr()
	}
	ref, err := parseFunctionRef(args[0])
	if err != nil {
		return FunctionRef{}, d.WrapErr(err)
	}
	return ref, nil
}

func (a *App) unmarshalAnalytics(d *caddyfile.Dispenser) error {
	a.Analytics = new(AnalyticsConfig)
	switch args := d.RemainingArgs(); len(args) {
	case 1:
		a.Analytics.URL = args[0]
	case 2:
		interval, err := positive(args[1])
		if err != nil {
			return d.Errf("analytics: interval: %v", err)
		}
		a.Analytics.URL, a.Analytics.Interval = args[0], interval
	default:
		return d.ArgErr()
	}
	return located(d, a.Analytics.validate())
}
