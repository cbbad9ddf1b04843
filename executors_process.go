package kubefaas

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// ProcessExecutor runs functions as programs on this machine: it starts one
// when its function is called, and stops it when nobody has for a while.
//
// With the first program it starts one more process, of Caddy's own program
// and with the one argument `kubefaas-guard`. That waits for the end of Caddy,
// and kills whatever programs and what they have started have left when Caddy
// was killed and could not.
type ProcessExecutor struct {
	// The functions and their programs.
	Functions []ProcessFunction `json:"functions,omitempty"`

	programs *process.Executor
}

// ProcessFunction is a function that is a program on this machine.
type ProcessFunction struct {
	// The function's namespace. Default: `default`.
	Namespace string `json:"namespace,omitempty"`

	// The function's name.
	Name string `json:"name"`

	// The program and its arguments. No shell reads them. Placeholders such as
	// `{env.NAME}` are replaced, here and in `dir` and `env`. The program gets
	// `PORT` and `KUBEFAAS_FUNCTION` in its environment and listens on
	// 127.0.0.1:$PORT.
	Command []string `json:"command"`

	// The program's working directory. Default: Caddy's own.
	Dir string `json:"dir,omitempty"`

	// The program's environment beside `PATH`, `HOME`, `PORT` and
	// `KUBEFAAS_FUNCTION`. Nothing else of Caddy's own is passed on.
	Env map[string]string `json:"env,omitempty"`

	// How the program is asked whether it is ready. Default: it is, when it
	// accepts a TCP connection.
	Ready *ProcessReady `json:"ready,omitempty"`

	// How long the program may take from its start until it is ready.
	// Default: `30s`.
	StartTimeout caddy.Duration `json:"start_timeout,omitempty"`

	// How long an instance above the least number lives without a request.
	// Default: `2m`.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// How long an instance has from SIGTERM to SIGKILL. Default: `10s`.
	StopTimeout caddy.Duration `json:"stop_timeout,omitempty"`

	// How many instances there are. Default: from 0 to 1.
	Instances *ProcessInstances `json:"instances,omitempty"`

	// Whom the program runs as, when Caddy runs as root.
	User string `json:"user,omitempty"`
}

// ProcessReady says how a program is asked whether it is ready.
type ProcessReady struct {
	// `tcp` or `http`.
	Probe string `json:"probe"`

	// What `http` asks for; 2xx and 3xx are ready. Default: `/`.
	Path string `json:"path,omitempty"`
}

// ProcessInstances bounds the number of a program's instances.
type ProcessInstances struct {
	// How many run at all times.
	Min int `json:"min,omitempty"`

	// How many run at most. A further one starts when all are at the
	// function's `concurrency`.
	Max int `json:"max"`
}

// CaddyModule returns the Caddy module information.
func (*ProcessExecutor) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "kubefaas.executors.process", New: func() caddy.Module { return new(ProcessExecutor) }}
}

// Provision registers nothing yet: programs are started by Start, so that
// `caddy validate` starts none.
func (e *ProcessExecutor) Provision(ctx caddy.Context) error {
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	specs := make([]process.Spec, len(e.Functions))
	for i := range e.Functions {
		if specs[i], err = e.Functions[i].spec(); err != nil {
			return err
		}
	}
	if e.programs, err = process.NewExecutor(app.(*App).state.programs(), specs); err != nil {
		return fmt.Errorf("executor process: %w", err)
	}
	return nil
}

func (f *ProcessFunction) spec() (process.Spec, error) {
	s := process.Spec{
		Ref: refOf(f.Namespace, f.Name), Dir: f.Dir, User: f.User,
		StartTimeout: time.Duration(f.StartTimeout), IdleTimeout: time.Duration(f.IdleTimeout), StopTimeout: time.Duration(f.StopTimeout),
	}
	if f.Ready != nil {
		s.Ready = process.Ready{Kind: f.Ready.Probe, Path: f.Ready.Path}
	}
	if f.Instances != nil {
		if f.Instances.Max < 1 {
			return s, fmt.Errorf("executor process: function %s: at most %d instances: it has to be 1 at least", s.Ref, f.Instances.Max)
		}
		s.Min, s.Max = f.Instances.Min, f.Instances.Max
	}
	// What looks like a placeholder and is none stays: ${PORT} is a shell's.
	repl := caddy.NewReplacer()
	for _, arg := range f.Command {
		s.Command = append(s.Command, repl.ReplaceKnown(arg, ""))
	}
	s.Dir = repl.ReplaceKnown(s.Dir, "")
	for key, value := range f.Env {
		s.Env = append(s.Env, process.EnvVar{Key: key, Value: repl.ReplaceKnown(value, "")})
	}
	slices.SortFunc(s.Env, func(a, b process.EnvVar) int { return strings.Compare(a.Key, b.Key) })
	return s, nil
}

// Start registers the programs and starts the instances that always run.
func (e *ProcessExecutor) Start() error { return e.programs.Start() }

// Stop gives the programs up. Those that the next configuration has as well
// run on.
func (e *ProcessExecutor) Stop() error {
	e.programs.Stop()
	return nil
}

// Cleanup gives the programs up that a configuration never came to start.
func (e *ProcessExecutor) Cleanup() error {
	if e.programs != nil {
		e.programs.Stop()
	}
	return nil
}

// Addresses gives the instances that are ready, and starts one if none is.
func (e *ProcessExecutor) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	return e.programs.Addresses(ctx, fn)
}

// EnsureCapacity starts one more instance.
func (e *ProcessExecutor) EnsureCapacity(ctx context.Context, fn *function.Function, ready, busy int) (string, error) {
	return e.programs.EnsureCapacity(ctx, fn, ready, busy)
}

// Revision changes with the function's program.
func (e *ProcessExecutor) Revision(ref function.Ref) string {
	return "process " + e.programs.Revision(ref)
}

// Knows says whether the function is a program here.
func (e *ProcessExecutor) Knows(ref function.Ref) bool {
	return slices.ContainsFunc(e.Functions, func(f ProcessFunction) bool { return refOf(f.Namespace, f.Name) == ref })
}

// Interface guards
var (
	_ Executor           = (*ProcessExecutor)(nil)
	_ caddy.Provisioner  = (*ProcessExecutor)(nil)
	_ caddy.CleanerUpper = (*ProcessExecutor)(nil)
)
