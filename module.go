// Package kubefaas makes Caddy the router of a function platform: it matches
// HTTP triggers to functions, asks an executor where a function runs, holds
// the request while the function starts, and retries dead addresses.
package kubefaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/zap"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// The names under which v1.8's importers know these headers.
const (
	FORWARDED        = "Forwarded"
	X_FORWARDED_HOST = "X-Forwarded-Host" //nolint:staticcheck // the exported name of v1.8

	// HEADERS_KUBEFAAS_FUNCTION_PREFIX is the default of the app's header_prefix
	// with "Function" behind it.
	HEADERS_KUBEFAAS_FUNCTION_PREFIX = "Kubefaas-Function" //nolint:staticcheck // the exported name of v1.8
)

// appID is the app's module ID, and the first part of every name it gives.
const appID = "kubefaas"

// App is what all sites share: the executor, the functions' metadata, and the
// limits of the addresses' cache, the waiting rooms, the taps and the
// analytics. What must outlive a configuration reload (addresses, waiting
// requests, connections, processes, counters) is kept beside it in one pooled
// state.
type App struct {
	// Who knows the functions' addresses: `http` for a remote executor,
	// `process` for local commands, `static` for fixed addresses.
	// Default: `process` with no functions.
	ExecutorRaw json.RawMessage `json:"executor,omitempty" caddy:"namespace=kubefaas.executors inline_key=executor"`

	// Metadata of functions, needed only where a default does not fit.
	Functions []FunctionConfig `json:"functions,omitempty"`

	// How long an address is believed before it is asked for again, in the
	// background, while the old one goes on serving. Default: `1m`.
	AddressTTL caddy.Duration `json:"address_ttl,omitempty"`

	// How long a request waits at most for a cold function, or for a place
	// under its `concurrency`. Default: `30s`.
	ColdStartTimeout caddy.Duration `json:"cold_start_timeout,omitempty"`

	// How many requests may wait for one function. Default: `10000`.
	MaxWaiting int `json:"max_waiting,omitempty"`

	// How many requests may wait for all functions together. Default: `50000`.
	MaxWaitingTotal int `json:"max_waiting_total,omitempty"`

	// How many bytes of request bodies may be held for waiting requests, over
	// all functions. Beyond it bodies stay unread. Default: `64MiB`.
	MaxWaitingBytes Size `json:"max_waiting_bytes,omitempty"`

	// The largest request body that is kept so that it can be sent again.
	// Default: `64KiB`.
	MaxReplayBody Size `json:"max_replay_body,omitempty"`

	// How often the executor is told which addresses are in use. Default: `5s`.
	TapInterval caddy.Duration `json:"tap_interval,omitempty"`

	// The word behind `X-` in every header that functions get, and in the
	// executor's signature. Default: `Kubefaas`.
	HeaderPrefix string `json:"header_prefix,omitempty"`

	// How requests are tried again when an address does not answer.
	Retry *Retry `json:"retry,omitempty"`

	// Where to report the number of calls. Default: nowhere.
	Analytics *AnalyticsConfig `json:"analytics,omitempty"`

	executor  Executor
	functions map[function.Ref]*FunctionConfig
	// known are the functions that the configuration names; what a request
	// names beside them must not become a metric's label.
	known map[function.Ref]bool
	// shared are the functions that triggers name, each once.
	shared   map[function.Ref]*function.Function
	handlers []*Handler
	policy   *policy
	state    *state
	report   *Analytics
	logger   *zap.Logger
}

// Executor is what an executor module gives the app.
type Executor interface {
	executor.Executor
	// Revision names everything that makes this executor's known addresses of
	// a function useless when it changes.
	Revision(function.Ref) string
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appID, New: func() caddy.Module { return new(App) }}
}

// Provision fills in defaults, joins the shared state and loads the executor.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	a.setDefaults()

	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	var err error
	if a.state, err = joinState(a.logger); err != nil {
		return err
	}
	if a.ExecutorRaw == nil {
		a.ExecutorRaw = caddyconfig.JSONModuleObject(new(ProcessExecutor), "executor", "process", nil)
	}
	mod, err := ctx.LoadModule(a, "ExecutorRaw")
	if err != nil {
		return fmt.Errorf("loading executor module: %w", err)
	}
	var ok bool
	if a.executor, ok = mod.(Executor); !ok {
		return fmt.Errorf("the module %T in the namespace kubefaas.executors is no executor", mod)
	}

	a.functions = make(map[function.Ref]*FunctionConfig, len(a.Functions))
	a.known = make(map[function.Ref]bool, len(a.Functions))
	a.shared = make(map[function.Ref]*function.Function)
	for i := range a.Functions {
		f := &a.Functions[i]
		ref := f.ref()
		if a.functions[ref] != nil {
			return fmt.Errorf("function %s is configured twice", ref)
		}
		a.functions[ref] = f
		a.known[ref] = true
	}
	a.policy = newPolicy(a)
	return nil
}

func (a *App) setDefaults() {
	if a.AddressTTL == 0 {
		a.AddressTTL = caddy.Duration(time.Minute)
	}
	if a.ColdStartTimeout == 0 {
		a.ColdStartTimeout = caddy.Duration(30 * time.Second)
	}
	if a.MaxWaiting == 0 {
		a.MaxWaiting = 10_000
	}
	if a.MaxWaitingTotal == 0 {
		a.MaxWaitingTotal = 50_000
	}
	if a.MaxWaitingBytes == 0 {
		a.MaxWaitingBytes = 64 << 20
	}
	if a.MaxReplayBody == 0 {
		a.MaxReplayBody = 64 << 10
	}
	if a.TapInterval == 0 {
		a.TapInterval = caddy.Duration(5 * time.Second)
	}
	if a.HeaderPrefix == "" {
		a.HeaderPrefix = "Kubefaas"
	}
	if a.Analytics != nil && a.Analytics.Interval == 0 {
		a.Analytics.Interval = caddy.Duration(24 * time.Hour)
	}
}

// Validate judges the values.
func (a *App) Validate() error {
	var errs []error
	for name, d := range map[string]caddy.Duration{
		"address_ttl": a.AddressTTL, "cold_start_timeout": a.ColdStartTimeout, "tap_interval": a.TapInterval,
	} {
		if d < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative", name, time.Duration(d)))
		}
	}
	for name, n := range map[string]int64{
		"max_waiting": int64(a.MaxWaiting), "max_waiting_total": int64(a.MaxWaitingTotal),
		"max_waiting_bytes": int64(a.MaxWaitingBytes), "max_replay_body": int64(a.MaxReplayBody),
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is negative", name, n))
		}
	}
	if !isHeaderWord(a.HeaderPrefix) {
		errs = append(errs, fmt.Errorf("header_prefix: %q is not a word that a header's name may contain", a.HeaderPrefix))
	}
	for i := range a.Functions {
		errs = append(errs, a.Functions[i].validate())
	}
	if err := a.Retry.validate(); err != nil {
		errs = append(errs, fmt.Errorf("retry: %w", err))
	}
	if a.Analytics != nil {
		errs = append(errs, a.Analytics.validate())
	}
	return errors.Join(errs...)
}

// Start makes this configuration the one that the shared state works for.
func (a *App) Start() error {
	if s, ok := a.executor.(interface{ Start() error }); ok {
		if err := s.Start(); err != nil {
			return fmt.Errorf("starting the executor: %w", err)
		}
	}
	a.state.taps.enter(a, time.Duration(a.TapInterval))
	a.state.watch(a)
	if a.Analytics != nil {
		a.report = MakeAnalytics(a.Analytics.URL, time.Duration(a.Analytics.Interval), &calls, a.logger)
		a.report.Start()
	}
	return nil
}

// Stop ends what this configuration began. Requests of it may still run.
func (a *App) Stop() error {
	if a.report != nil {
		a.report.Stop()
	}
	if !caddy.Exiting() {
		a.state.unwatch(a)
	}
	a.state.taps.leave(a)
	// Caddy stops its apps in any order: when it ends, the sites may serve on
	// for a while, and need their programs. Cleanup gives them up then.
	if s, ok := a.executor.(interface{ Stop() error }); ok && !caddy.Exiting() {
		return s.Stop()
	}
	return nil
}

// Cleanup leaves the shared state.
func (a *App) Cleanup() error {
	if a.state == nil {
		return nil
	}
	return leaveState()
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
