package caddytest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// batches are the bodies of all taps so far.
func (p *platform) batches() []executortest.Call {
	var batches []executortest.Call
	for _, c := range p.ex.Record() {
		if c.Name == executor.CallTap {
			batches = append(batches, c)
		}
	}
	return batches
}

// What the executor is told: every address in use once, however many requests
// there were, and nothing while there are none.
func TestTapsAreBatched(t *testing.T) {
	a, b := NewFunction(t), NewFunction(t)
	p := startPlatform(t, "tap_interval 300ms\nfunction prod/one {\nuid u1\nresource_version 7\nexecutor_type newdeploy\n}",
		"trigger /one prod/one\ntrigger /two two")
	p.ex.Answer("prod/one", executortest.At(a.Addr()))
	p.ex.Answer("two", executortest.At(b.Addr()))
	w := p.mustDial(t)
	for range 20 {
		for _, path := range []string{"/one", "/two"} {
			if err := w.ok(http.MethodGet, path, "", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := map[string]int{
		`{"fnMetadata":{"name":"one","namespace":"prod","resourceVersion":"7","uid":"u1"},"type":"newdeploy","url":"http://` + a.Addr() + `"}`: 0,
		`{"fnMetadata":{"name":"two","namespace":"default","resourceVersion":"","uid":""},"type":"poolmgr","url":"http://` + b.Addr() + `"}`:   0,
	}
	p.awaitCalls(t, executor.CallTap, 1)
	time.Sleep(time.Second) // three intervals without a request
	batches := p.batches()
	for _, batch := range batches {
		seen := make(map[string]bool)
		for _, tap := range batch.Taps {
			line, err := json.Marshal(map[string]any{
				"fnMetadata": map[string]string{"name": tap.Ref.Name, "namespace": tap.Ref.Namespace, "uid": tap.UID, "resourceVersion": tap.ResourceVersion},
				"type":       tap.ExecutorType, "url": tap.ServiceURL,
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, known := want[string(line)]; !known || seen[string(line)] {
				t.Errorf("got tap %s, want each address once in a batch, and no other", line)
			}
			seen[string(line)] = true
			want[string(line)]++
		}
		if len(batch.Taps) == 0 {
			t.Error("got an empty batch, want none")
		}
	}
	for line, n := range want {
		if n == 0 {
			t.Errorf("got no tap %s", line)
		}
	}
	// The requests may have met the end of an interval.
	if len(batches) > 3 {
		t.Errorf("got %d batches, want one for the requests and none for the silence after them", len(batches))
	}
}

func TestStreamIsTappedForAsLongAsItLasts(t *testing.T) {
	for name, do := range map[string]string{"events": "sse?n=-1&every=20ms", "a silent body": "slow?n=2&every=1h"} {
		t.Run(name, func(t *testing.T) {
			f := NewFunction(t)
			p := startPlatform(t, "tap_interval 50ms", triggersFor("hello"))
			p.ex.Answer("hello", executortest.At(f.Addr()))
			w := p.mustDial(t)
			if err := w.send(http.MethodGet, "/hello", "", "", DoHeader, do); err != nil {
				t.Fatal(err)
			}
			p.awaitCalls(t, executor.CallTap, 6)
			w.close()
			Eventually(t, patience, func() bool { return f.Active() == 0 }, func() string { return "the stream goes on" })
			time.Sleep(150 * time.Millisecond) // what was said of it before its end
			before := p.ex.Calls(executor.CallTap)
			time.Sleep(500 * time.Millisecond)
			if got := p.ex.Calls(executor.CallTap); got != before {
				t.Errorf("got %d batches after the stream's end, want none", got-before)
			}
		})
	}
}

func TestLastTapsAreSentOnShutdown(t *testing.T) {
	for name, opts := range map[string][]Option{"configuration unloaded": nil, "SIGTERM": {Process()}} {
		t.Run(name, func(t *testing.T) {
			f := NewFunction(t)
			p := startPlatform(t, "tap_interval 1h", triggersFor("hello"), opts...)
			p.ex.Answer("hello", executortest.At(f.Addr()))
			if err := p.mustDial(t).ok(http.MethodGet, "/hello", "", ""); err != nil {
				t.Fatal(err)
			}
			if got := p.ex.Calls(executor.CallTap); got != 0 {
				t.Errorf("got %d batches before the shutdown, want 0: the interval is an hour", got)
			}
			p.Stop()
			if got := p.ex.Taps(); len(got) != 1 || got[0].ServiceURL != "http://"+f.Addr() {
				t.Errorf("got taps %v after the shutdown, want one of %s", got, f.Addr())
			}
		})
	}
}

func TestReloadKeepsTaps(t *testing.T) {
	f := NewFunction(t)
	p := startPlatform(t, "tap_interval 1h", triggersFor("hello"))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	if err := p.mustDial(t).ok(http.MethodGet, "/hello", "", ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(t, p.config("tap_interval 50ms", triggersFor("hello", "other"))); err != nil {
		t.Fatal(err)
	}
	p.awaitCalls(t, executor.CallTap, 1)
	if got := p.ex.Taps(); len(got) != 1 || got[0].Ref.Name != "hello" {
		t.Errorf("got taps %v after the reload, want the one from before it", got)
	}
}

// tapFailures are the log lines about batches that were not taken, by level.
func (p *platform) tapFailures() map[string]int {
	levels := make(map[string]int)
	for _, entry := range p.Logs() {
		if strings.Contains(entry.Msg, "was not told which addresses are in use") {
			levels[entry.Level]++
		}
	}
	return levels
}

func TestFailedTapsAreLoudOnlyWhenTheyPersist(t *testing.T) {
	for name, test := range map[string]struct {
		answers []executortest.Answer
		batches int
		loud    bool
	}{
		"404 says that an address is gone, which is routine": {
			[]executortest.Answer{executortest.Fail(http.StatusNotFound, "no such address")}, 6, false},
		"two failures are an executor that restarts": {
			[]executortest.Answer{executortest.Fail(500, "a"), executortest.Fail(500, "b"), {}}, 6, false},
		"failures with successes between them are not in a row": {
			[]executortest.Answer{executortest.Fail(500, "a"), executortest.Fail(500, "b"), {}, executortest.Fail(500, "c"), executortest.Fail(500, "d"), {}}, 8, false},
		"the third failure in a row is an error": {
			[]executortest.Answer{executortest.Fail(500, "a"), executortest.Fail(500, "b"), executortest.Fail(500, "c"), {}}, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := NewFunction(t)
			p := startPlatform(t, "tap_interval 30ms", triggersFor("hello"))
			p.ex.Answer("hello", executortest.At(f.Addr()))
			p.ex.AnswerTap(test.answers...)
			w := p.mustDial(t)
			if err := w.send(http.MethodGet, "/hello", "", "", DoHeader, "slow?n=2&every=1h"); err != nil {
				t.Fatal(err)
			}
			p.awaitCalls(t, executor.CallTap, test.batches+1) // the ones before are dealt with
			levels := p.tapFailures()
			if got := levels["error"] > 0; got != test.loud || levels["error"] > 1 {
				t.Errorf("got %d errors logged, want one: %v", levels["error"], test.loud)
			}
			if levels["warn"]+levels["info"] > 0 {
				t.Errorf("got log lines %v, want the others on the debug level", levels)
			}
		})
	}
}
