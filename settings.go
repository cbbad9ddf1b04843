package kubefaas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// FunctionConfig is what is known of a function beside its name. A function
// without one has the defaults.
type FunctionConfig struct {
	// The function's namespace. Default: `default`.
	Namespace string `json:"namespace,omitempty"`

	// The function's name.
	Name string `json:"name"`

	// The platform's identity of the function. A change forgets its addresses.
	UID string `json:"uid,omitempty"`

	// The platform's version of the function. A change forgets its addresses.
	ResourceVersion string `json:"resource_version,omitempty"`

	// How the remote executor runs it: `poolmgr`, `newdeploy` or `container`.
	// Default: `poolmgr`.
	ExecutorType string `json:"executor_type,omitempty"`

	// How long the function may take from the request to the headers of its
	// response. While the client still sends its request's body, each piece of it
	// begins the time anew. Default: `60s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many requests one address gets at once; the rest wait in order.
	// Default: no limit.
	Concurrency int `json:"concurrency,omitempty"`

	// What the function speaks: `http` or `h2c`. Default: `http`.
	Protocol string `json:"protocol,omitempty"`
}

// defaultFunctionTimeout is a function's timeout where neither it nor the
// trigger has one.
const defaultFunctionTimeout = 60 * time.Second

// functionTypes are the values of executor_type.
var functionTypes = []string{function.PoolManager, function.NewDeploy, function.Container}

func (c *FunctionConfig) ref() function.Ref { return refOf(c.Namespace, c.Name) }

// refOf is the reference of a namespace, which may be left out, and a name.
func refOf(namespace, name string) function.Ref {
	if namespace == "" {
		namespace = function.DefaultNamespace
	}
	return function.Ref{Namespace: namespace, Name: name}
}

func (c *FunctionConfig) validate() error {
	var errs []error
	if err := c.ref().Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.ExecutorType != "" && !slices.Contains(functionTypes, c.ExecutorType) {
		errs = append(errs, fmt.Errorf("executor_type: unknown function type %q: it is one of %s", c.ExecutorType, strings.Join(functionTypes, ", ")))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout: %s is negative", time.Duration(c.Timeout)))
	}
	if c.Concurrency < 0 {
		errs = append(errs, fmt.Errorf("concurrency: %d is negative", c.Concurrency))
	}
	if c.Protocol != "" && c.Protocol != function.HTTP && c.Protocol != function.H2C {
		errs = append(errs, fmt.Errorf("protocol: %q is neither http nor h2c", c.Protocol))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("function %s: %w", c.ref(), err)
	}
	return nil
}

// named is the metadata of a function that the configuration names: the same
// value for all who name it. It is for provisioning only.
func (a *App) named(ref function.Ref) *function.Function {
	fn := a.shared[ref]
	if fn == nil {
		fn = a.function(ref)
		a.shared[ref] = fn
	}
	return fn
}

// function is the metadata of a reference: its own or the defaults.
func (a *App) function(ref function.Ref) *function.Function {
	f := &function.Function{
		Ref:          ref,
		Revision:     a.executor.Revision(ref),
		ExecutorType: function.PoolManager,
		Timeout:      defaultFunctionTimeout,
		Protocol:     function.HTTP,
	}
	c := a.functions[ref]
	if c == nil {
		return f
	}
	f.UID, f.ResourceVersion, f.Concurrency = c.UID, c.ResourceVersion, c.Concurrency
	if c.ExecutorType != "" {
		f.ExecutorType = c.ExecutorType
	}
	if c.Timeout != 0 {
		f.Timeout = time.Duration(c.Timeout)
	}
	if c.Protocol != "" {
		f.Protocol = c.Protocol
	}
	return f
}
