package executor_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
	"github.com/kubefaas/caddy-kubefaas/function"
)

var tapOfHello = executor.Tap{Function: hello, Address: "10.0.0.7:8888"}

func TestTapIsRetriedOnlyWhereThatHelps(t *testing.T) {
	fail, abort := executortest.Fail, executortest.Answer{Abort: true}
	for name, tc := range map[string]struct {
		answers []executortest.Answer
		calls   int
		status  int // of the error; -1 is no error
	}{
		"taken":                       {nil, 1, -1},
		"some address is not known":   {[]executortest.Answer{fail(404, "gone")}, 1, -1},
		"502, 503, 504, then taken":   {[]executortest.Answer{fail(502, ""), fail(503, ""), fail(504, ""), {}}, 4, -1},
		"broken, then taken":          {[]executortest.Answer{abort, {}}, 2, -1},
		"503 without end":             {[]executortest.Answer{fail(503, "")}, 5, 503},
		"broken without end":          {[]executortest.Answer{abort}, 5, 0},
		"503, then a limit":           {[]executortest.Answer{fail(503, ""), fail(429, "")}, 2, 429},
		"unreadable":                  {[]executortest.Answer{fail(400, "")}, 1, 400},
		"at a limit":                  {[]executortest.Answer{fail(429, "")}, 1, 429},
		"an internal error":           {[]executortest.Answer{fail(500, "")}, 1, 500},
		"taken with more than 64 KiB": {[]executortest.Answer{{Text: string(make([]byte, 64<<10+1))}}, 1, 200},
	} {
		s := executortest.New(t)
		s.AnswerTap(tc.answers...)
		err := newClient(t, executor.Options{URL: s.URL}).Tap(t.Context(), []executor.Tap{tapOfHello})
		if got := s.Calls(executor.CallTap); got != tc.calls {
			t.Errorf("%s: got %d calls, want %d", name, got, tc.calls)
		}
		if tc.status < 0 {
			if err != nil {
				t.Errorf("%s: got %v, want no error", name, err)
			}
		} else if e := asError(t, err); e.Status != tc.status {
			t.Errorf("%s: got %v, want status %d", name, err, tc.status)
		}
	}
}

func TestTapOfUnknownAddressesIsObserved(t *testing.T) {
	s := executortest.New(t)
	s.AnswerTap(executortest.Fail(404, "gone"))
	var codes []string
	c := newClient(t, executor.Options{URL: s.URL, Observe: func(call, code string, _ time.Duration) {
		codes = append(codes, call+" "+code)
	}})
	if err := c.Tap(t.Context(), []executor.Tap{tapOfHello}); err != nil {
		t.Errorf("Tap: %v", err)
	}
	if want := []string{"tapServices 404"}; !slices.Equal(codes, want) {
		t.Errorf("observed %q, want %q", codes, want)
	}
}

func TestTapStopsAtTheCallersDeadline(t *testing.T) {
	s := executortest.New(t)
	s.AnswerTap(executortest.Fail(503, "not the leader"))
	c := newClient(t, executor.Options{URL: s.URL, Backoff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Hour) }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	started := time.Now()
	err := c.Tap(ctx, []executor.Tap{tapOfHello})
	if e := asError(t, err); e.Status != 503 {
		t.Errorf("got %v, want the executor's 503", err)
	}
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("it took %v; want no wait that the deadline cuts off", took)
	}
}

func TestNothingToSayIsNoCall(t *testing.T) {
	s := executortest.New(t)
	c := newClient(t, executor.Options{URL: s.URL})
	if err := c.Tap(t.Context(), nil); err != nil {
		t.Errorf("Tap of nothing: %v", err)
	}
	for _, typ := range []string{function.NewDeploy, function.Container} {
		fn := *hello
		fn.ExecutorType = typ
		if err := c.Untap(t.Context(), executor.Tap{Function: &fn, Address: "10.0.0.7:8888"}); err != nil {
			t.Errorf("Untap of %s: %v", typ, err)
		}
	}
	if got := s.Record(); len(got) != 0 {
		t.Errorf("got %d calls, want none", len(got))
	}
}

func TestUntapIsRetried(t *testing.T) {
	s := executortest.New(t)
	s.AnswerUntap(executortest.Fail(503, ""), executortest.Answer{})
	if err := newClient(t, executor.Options{URL: s.URL}).Untap(t.Context(), tapOfHello); err != nil {
		t.Errorf("Untap: %v", err)
	}
	if got := len(s.Untaps()); got != 2 {
		t.Errorf("got %d untaps, want 2", got)
	}
}

func TestEnsureCapacity(t *testing.T) {
	fail := executortest.Fail
	for name, tc := range map[string]struct {
		answers []executortest.Answer
		calls   int
		check   func(address string, err error) bool
	}{
		"an address": {[]executortest.Answer{executortest.At("10.0.0.8:8888")}, 1, func(a string, err error) bool {
			return a == "10.0.0.8:8888" && err == nil
		}},
		"503, then an address": {[]executortest.Answer{fail(503, ""), executortest.At("10.0.0.8:8888")}, 2, func(a string, err error) bool {
			return a == "10.0.0.8:8888" && err == nil
		}},
		"the limit": {[]executortest.Answer{fail(429, "")}, 1, func(a string, err error) bool {
			return a == "" && asError(t, err).Capacity()
		}},
		"no address": {[]executortest.Answer{executortest.At("http://x")}, 1, func(a string, err error) bool {
			return a == "" && asError(t, err).BadAddress()
		}},
		"no such call": {nil, 1, func(a string, err error) bool {
			return a == "" && errors.Is(err, errors.ErrUnsupported)
		}},
	} {
		s := executortest.New(t)
		s.AnswerCapacity("hello", tc.answers...)
		address, err := newClient(t, executor.Options{URL: s.URL}).EnsureCapacity(t.Context(), hello, 1, 1)
		if !tc.check(address, err) {
			t.Errorf("%s: got %q, %v", name, address, err)
		}
		if got := s.Calls(executor.CallCapacity); got != tc.calls {
			t.Errorf("%s: got %d calls, want %d", name, got, tc.calls)
		}
	}
}

func TestEnsureCapacityIsNotAskedAgainForAMinute(t *testing.T) {
	s := executortest.New(t)
	now := time.Now()
	c := newClient(t, executor.Options{URL: s.URL, Now: func() time.Time { return now }})
	ask := func() error { _, err := c.EnsureCapacity(t.Context(), hello, 1, 1); return err }
	for range 3 {
		if err := ask(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("got %v, want ErrUnsupported", err)
		}
	}
	if got := s.Calls(executor.CallCapacity); got != 1 {
		t.Errorf("within a minute: got %d calls, want 1", got)
	}
	now = now.Add(time.Minute)
	s.AnswerCapacity("hello", executortest.At("10.0.0.8:8888"))
	if err := ask(); err != nil {
		t.Errorf("after a minute, upgraded: %v", err)
	}
}
