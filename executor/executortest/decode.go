package executortest

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// The bodies, written down here once more and not taken from the client, so
// that a field that it misspells is missed.
type metaBody struct {
	Name            string `json:"name"`
	Namespace       string `json:"namespace"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
}

type functionBody struct {
	metaBody           // v1
	Metadata *metaBody `json:"metadata"` // v2
	Spec     struct {
		FunctionTimeout int `json:"functionTimeout"`
		RequestsPerPod  int `json:"requestsPerPod"`
		InvokeStrategy  struct {
			ExecutionStrategy struct {
				ExecutorType string
			}
		}
	} `json:"spec"`
}

type capacityBody struct {
	Function functionBody `json:"function"`
	Ready    int          `json:"observedReadyEndpoints"`
	Busy     int          `json:"observedBusyEndpoints"`
}

type tapBody struct {
	FnMetadata     metaBody
	FnExecutorType string
	ServiceURL     string `json:"ServiceUrl"`
}

// decode reads c.Raw into c's other fields.
func decode(c *Call) error {
	switch c.Name {
	case executor.CallAddress:
		var b functionBody
		return errors.Join(json.Unmarshal(c.Raw, &b), c.setFunction(&b))
	case executor.CallCapacity:
		var b capacityBody
		err := json.Unmarshal(c.Raw, &b)
		c.Ready, c.Busy = b.Ready, b.Busy
		return errors.Join(err, c.setFunction(&b.Function))
	case executor.CallTap:
		var b []tapBody
		err := json.Unmarshal(c.Raw, &b)
		c.setTaps(b)
		return err
	case executor.CallUntap:
		var b tapBody
		err := json.Unmarshal(c.Raw, &b)
		c.setTaps([]tapBody{b})
		t := c.Taps[0]
		c.Ref, c.UID, c.ResourceVersion, c.ExecutorType = t.Ref, t.UID, t.ResourceVersion, t.ExecutorType
		return err
	}
	return nil
}

func (c *Call) setFunction(b *functionBody) error {
	c.API = executor.APIv1
	meta := b.metaBody
	if b.Metadata != nil {
		c.API = executor.APIv2
		meta = *b.Metadata
		c.ExecutorType = b.Spec.InvokeStrategy.ExecutionStrategy.ExecutorType
		c.Timeout = time.Duration(b.Spec.FunctionTimeout) * time.Second
		c.RequestsPerPod = b.Spec.RequestsPerPod
	}
	c.Ref = meta.ref()
	c.UID, c.ResourceVersion = meta.UID, meta.ResourceVersion
	if err := c.Ref.Validate(); err != nil {
		return fmt.Errorf("the body names no function: %w", err)
	}
	return nil
}

func (c *Call) setTaps(bodies []tapBody) {
	for _, b := range bodies {
		c.Taps = append(c.Taps, Tap{
			Ref:             b.FnMetadata.ref(),
			UID:             b.FnMetadata.UID,
			ResourceVersion: b.FnMetadata.ResourceVersion,
			ExecutorType:    b.FnExecutorType,
			ServiceURL:      b.ServiceURL,
			At:              c.At,
		})
	}
}

func (m metaBody) ref() function.Ref { return function.Ref{Namespace: m.Namespace, Name: m.Name} }
