package executor

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// The calls of the remote executor, named as its paths name them. They are
// the labels that Options.Observe sees.
const (
	CallAddress  = "getServiceForFunction"
	CallTap      = "tapServices"
	CallUntap    = "unTapService"
	CallCapacity = "ensureCapacity"
	CallHealth   = "healthz"
)

// Generations of the remote executor's API. They differ in the body of
// CallAddress only.
const (
	APIv1 = "v1"
	APIv2 = "v2"
)

// What the platform takes for a function that does not say otherwise.
const (
	platformTimeout        = 60 * time.Second
	platformConcurrency    = 500
	platformRequestsPerPod = 1
)

// wireID is the part of a function's Kubernetes ObjectMeta that the executor
// looks at.
type wireID struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

// wireMeta is the ObjectMeta as a body of CallAddress has it. There is no
// generation in it: the router does not know it, and 0 would be a lie.
type wireMeta struct {
	wireID
	// CreationTimestamp is always null; Kubernetes' own encoder writes it so.
	CreationTimestamp *string `json:"creationTimestamp"`
}

// wireFunction is the whole Function, as api v2 sends it.
type wireFunction struct {
	Metadata wireMeta `json:"metadata"`
	Spec     wireSpec `json:"spec"`
}

type wireSpec struct {
	FunctionTimeout int          `json:"functionTimeout"` // seconds
	Concurrency     int          `json:"concurrency"`     // pods at once
	RequestsPerPod  int          `json:"requestsPerPod"`
	InvokeStrategy  wireStrategy `json:"InvokeStrategy"`
}

type wireStrategy struct {
	ExecutionStrategy wireExecution `json:"ExecutionStrategy"`
}

type wireExecution struct {
	ExecutorType string `json:"ExecutorType"`
}

type wireTap struct {
	FnMetadata     wireID `json:"FnMetadata"`
	FnExecutorType string `json:"FnExecutorType"`
	ServiceURL     string `json:"ServiceUrl"`
}

type wireCapacity struct {
	Function wireFunction `json:"function"`
	Ready    int          `json:"observedReadyEndpoints"`
	Busy     int          `json:"observedBusyEndpoints"`
}

func idOf(fn *function.Function) wireID {
	return wireID{Name: fn.Name, Namespace: fn.Namespace, UID: fn.UID, ResourceVersion: fn.ResourceVersion}
}

func typeOf(fn *function.Function) string { return cmp.Or(fn.ExecutorType, function.PoolManager) }

// functionOf is fn as api v2 sends it. The function's concurrency is requests
// at once per address, which the platform calls requestsPerPod; its own
// "concurrency" is pods at once, which the router has no say in.
func functionOf(fn *function.Function) wireFunction {
	timeout := cmp.Or(fn.Timeout, platformTimeout)
	return wireFunction{
		Metadata: wireMeta{wireID: idOf(fn)},
		Spec: wireSpec{
			FunctionTimeout: int((timeout + time.Second - 1) / time.Second), // rounded up: 0 is no timeout
			Concurrency:     platformConcurrency,
			RequestsPerPod:  max(fn.Concurrency, platformRequestsPerPod),
			InvokeStrategy:  wireStrategy{wireExecution{typeOf(fn)}},
		},
	}
}

// addressBody is the body of CallAddress.
func addressBody(api string, fn *function.Function) []byte {
	if api == APIv1 {
		return encode(wireMeta{wireID: idOf(fn)})
	}
	return encode(functionOf(fn))
}

// encode marshals a wire type. They hold strings and numbers only, which
// always can be.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
