package kubefaas

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// StaticExecutor has addresses that never change.
type StaticExecutor struct {
	// The functions and their addresses.
	Functions []StaticFunction `json:"functions,omitempty"`

	static *executor.Static
}

// StaticFunction is a function at fixed addresses.
type StaticFunction struct {
	// The function's namespace. Default: `default`.
	Namespace string `json:"namespace,omitempty"`

	// The function's name.
	Name string `json:"name"`

	// Its addresses: `host:port`, or `host` for port 80.
	Addresses []string `json:"addresses"`
}

func (f *StaticFunction) ref() function.Ref { return refOf(f.Namespace, f.Name) }

// CaddyModule returns the Caddy module information.
func (*StaticExecutor) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "kubefaas.executors.static", New: func() caddy.Module { return new(StaticExecutor) }}
}

// Provision checks the addresses.
func (e *StaticExecutor) Provision(caddy.Context) (err error) {
	e.static, err = e.build()
	return err
}

func (e *StaticExecutor) build() (*executor.Static, error) {
	functions := make(map[function.Ref][]string, len(e.Functions))
	for _, f := range e.Functions {
		ref := f.ref()
		if functions[ref] != nil {
			return nil, fmt.Errorf("static executor: function %s stands twice", ref)
		}
		functions[ref] = append([]string{}, f.Addresses...)
	}
	return executor.NewStatic(functions)
}

// Addresses gives the function's addresses.
func (e *StaticExecutor) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	return e.static.Addresses(ctx, fn)
}

// Revision changes with the function's addresses.
func (e *StaticExecutor) Revision(ref function.Ref) string {
	for _, f := range e.Functions {
		if f.ref() == ref {
			return "static " + strings.Join(f.Addresses, " ")
		}
	}
	return "static"
}

// Knows says whether the function has an address here.
func (e *StaticExecutor) Knows(ref function.Ref) bool {
	return slices.ContainsFunc(e.Functions, func(f StaticFunction) bool { return f.ref() == ref })
}

// Interface guards
var (
	_ Executor          = (*StaticExecutor)(nil)
	_ caddy.Provisioner = (*StaticExecutor)(nil)
)
