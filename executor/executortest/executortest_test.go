package executortest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
	"github.com/kubefaas/caddy-kubefaas/function"
)

const v1Body = `{"name":"hello","namespace":"default","uid":"u","resourceVersion":"12","creationTimestamp":null}`

// post makes a call by hand, on a connection of its own.
func post(ctx context.Context, url, body string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(b)), err
}

func ask(t *testing.T, s *executortest.Server) string {
	t.Helper()
	status, text, err := post(t.Context(), s.URL+"/v2/getServiceForFunction", v1Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(status, " ", text)
}

func TestAnswersComeInOrderAndTheLastStays(t *testing.T) {
	s := executortest.New(t)
	check := func(want string) {
		t.Helper()
		if got := ask(t, s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check("404 no such function: default/hello")
	s.Answer("hello", executortest.Fail(503, "not the leader"), executortest.At("a:1"), executortest.At("b:2"))
	check("503 not the leader")
	check("200 a:1")
	check("200 b:2")
	check("200 b:2")
	s.AnswerFunc("default/hello", func(c executortest.Call, n int) executortest.Answer {
		return executortest.At(fmt.Sprint(c.Ref.Name, ":", n+1))
	})
	check("200 hello:1")
	check("200 hello:2")
	s.Answer("hello")
	check("404 no such function: default/hello")
	if got := s.CallsFor("hello"); got != 8 {
		t.Errorf("got %d calls, want 8", got)
	}
}

func TestCallsAreDecodedWhicheverTheGeneration(t *testing.T) {
	s := executortest.New(t)
	s.Answer("prod/full", executortest.At("a:1"))
	s.AnswerCapacity("prod/full", executortest.At("a:1"))
	fn := &function.Function{
		Ref: function.Ref{Namespace: "prod", Name: "full"}, UID: "u", ResourceVersion: "12",
		ExecutorType: function.NewDeploy, Timeout: 7 * time.Second, Concurrency: 8,
	}
	for _, api := range []string{executor.APIv1, executor.APIv2} {
		c, err := executor.New(executor.Options{URL: s.URL, API: api})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		defer c.Close()
		s.Reset()
		_, err = c.Addresses(t.Context(), fn)
		_, capacityErr := c.EnsureCapacity(t.Context(), fn, 3, 2)
		if err := errors.Join(err, capacityErr); err != nil {
			t.Fatalf("%s: %v", api, err)
		}
		calls := s.Record()
		if got := calls[0]; got.API != api || got.Ref != fn.Ref || got.UID != "u" || got.ResourceVersion != "12" {
			t.Errorf("%s: recorded %+v", api, got)
		}
		if api == executor.APIv2 {
			if got := calls[0]; got.ExecutorType != function.NewDeploy || got.Timeout != 7*time.Second || got.RequestsPerPod != 8 {
				t.Errorf("%s: recorded %+v", api, got)
			}
		}
		if got := calls[1]; got.Ref != fn.Ref || got.Ready != 3 || got.Busy != 2 {
			t.Errorf("%s: recorded %+v", api, got)
		}
	}
}

func TestTapsAreRecorded(t *testing.T) {
	s := executortest.New(t)
	c, err := executor.New(executor.Options{URL: s.URL})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	defer c.Close()
	before := time.Now()
	tap := executor.Tap{Function: &function.Function{Ref: function.Ref{Namespace: "default", Name: "hello"}, UID: "u"}, Address: "a:1"}
	if err := errors.Join(c.Tap(t.Context(), []executor.Tap{tap, tap}), c.Untap(t.Context(), tap)); err != nil {
		t.Fatal(err)
	}
	taps, untaps := s.Taps(), s.Untaps()
	if len(taps) != 2 || len(untaps) != 1 {
		t.Fatalf("got %d taps and %d untaps, want 2 and 1", len(taps), len(untaps))
	}
	for _, got := range append(taps, untaps...) {
		if got.Ref != tap.Function.Ref || got.UID != "u" || got.ExecutorType != function.PoolManager || got.At.Before(before) {
			t.Errorf("recorded %+v", got)
		}
	}
	if taps[0].ServiceURL != "http://a:1" || untaps[0].ServiceURL != "a:1" {
		t.Errorf("got ServiceUrl %q and %q, want http://a:1 and a:1", taps[0].ServiceURL, untaps[0].ServiceURL)
	}
}

func TestWhatIsNoCallIsRefused(t *testing.T) {
	s := executortest.New(t)
	for name, tc := range map[string]struct {
		path, body string
		want       int
	}{
		"no JSON":           {"/v2/getServiceForFunction", "hello", 400},
		"an empty body":     {"/v2/getServiceForFunction", "", 400},
		"no function":       {"/v2/getServiceForFunction", "{}", 400},
		"taps that are one": {"/v2/tapServices", "{}", 400},
		"an untap of many":  {"/v2/unTapService", "[]", 400},
		"another path":      {"/v3/getServiceForFunction", v1Body, 404},
		"another method":    {"/healthz", "", 405},
	} {
		if got, text, err := post(t.Context(), s.URL+tc.path, tc.body); got != tc.want {
			t.Errorf("%s: got %d %s, %v; want %d", name, got, text, err, tc.want)
		}
	}
}

func TestStopRefusesAndRestartListensOnTheSamePort(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("a:1"))
	for range 20 {
		s.Stop()
		if _, _, err := post(t.Context(), s.URL+"/healthz", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("stopped: got %v, want connection refused", err)
		}
		s.Stop()
		s.Restart()
		if got := ask(t, s); got != "200 a:1" {
			t.Errorf("restarted: got %q, want 200 a:1", got)
		}
		s.Restart()
	}
	if got := s.CallsFor("hello"); got != 20 {
		t.Errorf("got %d calls, want the record to outlive a restart: 20", got)
	}
}

func TestStopEndsCallsThatAreHeldBack(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.Answer{Until: make(chan struct{})})
	s.Answer("slow", executortest.Answer{Delay: time.Hour})
	var wg sync.WaitGroup
	for _, body := range []string{v1Body, strings.Replace(v1Body, "hello", "slow", 1)} {
		wg.Go(func() {
			if status, _, err := post(t.Context(), s.URL+"/v2/getServiceForFunction", body); err == nil {
				t.Errorf("got status %d, want a broken connection", status)
			}
		})
	}
	if err := s.WaitCalls(t.Context(), executor.CallAddress, 2); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	wg.Wait()
}

func TestConcurrentCallsAreCounted(t *testing.T) {
	s := executortest.New(t)
	release := make(chan struct{})
	s.Answer("hello", executortest.Answer{Text: "a:1", Until: release})
	s.Answer("other", executortest.Answer{Text: "a:1", Until: release})
	var wg sync.WaitGroup
	for i := range 10 {
		body := v1Body
		if i < 3 {
			body = strings.Replace(v1Body, "hello", "other", 1)
		}
		wg.Go(func() {
			if status, text, err := post(t.Context(), s.URL+"/v2/getServiceForFunction", body); status != 200 || text != "a:1" {
				t.Errorf("got %d %q, %v; want 200 a:1", status, text, err)
			}
		})
	}
	if err := s.WaitCalls(t.Context(), executor.CallAddress, 10); err != nil {
		t.Fatal(err)
	}
	close(release)
	wg.Wait()
	if all, hello, other := s.MaxConcurrent(), s.MaxConcurrentFor("hello"), s.MaxConcurrentFor("other"); all != 10 || hello != 7 || other != 3 {
		t.Errorf("got at most %d at once, %d and %d; want 10, 7 and 3", all, hello, other)
	}
}

func TestWaitCallsEndsWithItsContext(t *testing.T) {
	s := executortest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.WaitCalls(ctx, executor.CallTap, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestSignatureIsRequiredOnlyWhenAsked(t *testing.T) {
	s := executortest.New(t)
	s.Answer("hello", executortest.At("a:1"))
	s.RequireSignature("s3cret", "")
	if got := ask(t, s); !strings.HasPrefix(got, "401 ") {
		t.Errorf("unsigned: got %q, want 401", got)
	}
	s.RequireSignature("", "")
	if got := ask(t, s); got != "200 a:1" {
		t.Errorf("lifted: got %q, want 200 a:1", got)
	}
}

func TestWithoutATestItIsClosedByHand(t *testing.T) {
	s := executortest.New(nil)
	defer s.Close()
	s.Answer("hello", executortest.At("a:1"))
	if got := ask(t, s); got != "200 a:1" {
		t.Errorf("got %q, want 200 a:1", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name that is none: no panic")
		}
	}()
	s.Answer("he llo")
}
