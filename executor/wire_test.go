package executor_test

import (
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// hello is a function with nothing but a name; full has every field set.
var (
	hello = &function.Function{Ref: function.Ref{Namespace: "default", Name: "hello"}}
	full  = &function.Function{
		Ref: function.Ref{Namespace: "prod", Name: "full"}, UID: "u-1", ResourceVersion: "12", Revision: "not sent",
		ExecutorType: function.NewDeploy, Timeout: 1500 * time.Millisecond, Concurrency: 8, Protocol: function.H2C,
	}
)

func TestBodiesAreSentAsTheContractWritesThem(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("10.0.0.7:8888"))
	s.Answer("prod/full", executortest.At("10.0.0.7:8888"))
	s.AnswerCapacity("prod/full", executortest.At("10.0.0.7:8888"))
	v1 := newClient(t, executor.Options{URL: s.URL, API: "v1"})
	v2 := newClient(t, executor.Options{URL: s.URL})
	addresses := func(c *executor.Client, fn *function.Function) func() error {
		return func() error { _, err := c.Addresses(t.Context(), fn); return err }
	}
	taps := []executor.Tap{{Function: hello, Address: "10.0.0.7:8888"}, {Function: full, Address: "[::1]:80"}}
	for _, tc := range []struct {
		name string
		call func() error
		uri  string
		body string
	}{
		{
			"v1 is the function's metadata", addresses(v1, full), "/v2/getServiceForFunction",
			`{"name":"full","namespace":"prod","uid":"u-1","resourceVersion":"12","creationTimestamp":null}`,
		},
		{
			"v2 is the whole function", addresses(v2, full), "/v2/getServiceForFunction",
			`{"metadata":{"name":"full","namespace":"prod","uid":"u-1","resourceVersion":"12","creationTimestamp":null},` +
				`"spec":{"functionTimeout":2,"concurrency":500,"requestsPerPod":8,"InvokeStrategy":{"ExecutionStrategy":{"ExecutorType":"newdeploy"}}}}`,
		},
		{
			"v2 of a bare name has the platform's defaults", addresses(v2, hello), "/v2/getServiceForFunction",
			`{"metadata":{"name":"hello","namespace":"default","uid":"","resourceVersion":"","creationTimestamp":null},` +
				`"spec":{"functionTimeout":60,"concurrency":500,"requestsPerPod":1,"InvokeStrategy":{"ExecutionStrategy":{"ExecutorType":"poolmgr"}}}}`,
		},
		{
			"taps are an array with URLs", func() error { return v1.Tap(t.Context(), taps) }, "/v2/tapServices",
			`[{"FnMetadata":{"name":"hello","namespace":"default","uid":"","resourceVersion":""},"FnExecutorType":"poolmgr","ServiceUrl":"http://10.0.0.7:8888"},` +
				`{"FnMetadata":{"name":"full","namespace":"prod","uid":"u-1","resourceVersion":"12"},"FnExecutorType":"newdeploy","ServiceUrl":"http://[::1]:80"}]`,
		},
		{
			"an untap is one, with a bare address", func() error { return v2.Untap(t.Context(), taps[0]) }, "/v2/unTapService",
			`{"FnMetadata":{"name":"hello","namespace":"default","uid":"","resourceVersion":""},"FnExecutorType":"poolmgr","ServiceUrl":"10.0.0.7:8888"}`,
		},
		{
			"capacity is the whole function and what was observed",
			func() error { _, err := v2.EnsureCapacity(t.Context(), full, 3, 2); return err }, "/v2/ensureCapacity",
			`{"function":{"metadata":{"name":"full","namespace":"prod","uid":"u-1","resourceVersion":"12","creationTimestamp":null},` +
				`"spec":{"functionTimeout":2,"concurrency":500,"requestsPerPod":8,"InvokeStrategy":{"ExecutionStrategy":{"ExecutorType":"newdeploy"}}}},` +
				`"observedReadyEndpoints":3,"observedBusyEndpoints":2}`,
		},
		{"health has no body", func() error { return v2.Healthy(t.Context()) }, "/healthz", ""},
	} {
		s.Reset()
		if err := tc.call(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		calls := s.Record()
		if len(calls) != 1 {
			t.Errorf("%s: got %d calls, want 1", tc.name, len(calls))
			continue
		}
		if got := calls[0].URI; got != tc.uri {
			t.Errorf("%s: got path %s, want %s", tc.name, got, tc.uri)
		}
		if got := string(calls[0].Raw); got != tc.body {
			t.Errorf("%s: got body\n%s\nwant\n%s", tc.name, got, tc.body)
		}
	}
}
