package kubefaas

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestAnalyticsPostsTheContractsBody(t *testing.T) {
	type request struct{ method, body string }
	requests := make(chan request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case requests <- request{r.Method, string(body)}:
		default:
		}
	}))
	defer server.Close()
	var count atomic.Uint64
	count.Store(1<<64 - 1)
	lastReport.Store(0)
	a := MakeAnalytics(server.URL, 10*time.Millisecond, &count, zap.NewNop())
	a.Start()
	defer a.Stop()
	got := <-requests
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.body), &fields); err != nil {
		t.Fatalf("got body %q: %v", got.body, err)
	}
	var id string
	if err := json.Unmarshal(fields["ID"], &id); err != nil || len(id) != 8 || got.method != http.MethodPost {
		t.Errorf("got %s with ID %q (%v), want a POST with eight characters", got.method, id, err)
	}
	if n := string(fields["FunctionCallCount"]); n != "18446744073709551615" || len(fields) != 2 {
		t.Errorf("got %s, want the whole count and the ID only", got.body)
	}
}

// Nobody is troubled by a report that is not taken.
func TestAnalyticsFailuresAreDebugLines(t *testing.T) {
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, url := range map[string]string{"refused": refusing.URL, "not reachable": gone.URL} {
		core, logs := observer.New(zapcore.DebugLevel)
		a := MakeAnalytics(url, time.Millisecond, new(atomic.Uint64), zap.New(core))
		a.Start()
		for end := time.Now().Add(10 * time.Second); logs.Len() == 0 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		a.Stop()
		if logs.Len() == 0 || logs.All()[0].Level != zapcore.DebugLevel {
			t.Errorf("%s: got log %v, want a debug line", name, logs.All())
		}
	}
}

// Stop does not wait for a receiver that hangs.
func TestAnalyticsStopEndsAReportThatHangs(t *testing.T) {
	arrived, leave := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(leave)
	a := MakeAnalytics(server.URL, time.Millisecond, new(atomic.Uint64), zap.NewNop())
	a.Start()
	<-arrived
	began := time.Now()
	a.Stop()
	if took := time.Since(began); took > analyticsTimeout/2 {
		t.Errorf("got Stop after %v, want at once", took)
	}
}

func TestAnalyticsIsJudged(t *testing.T) {
	for name, test := range map[string]struct {
		config AnalyticsConfig
		want   string
	}{
		"a URL":               {AnalyticsConfig{URL: "https://example.com/in"}, ""},
		"a file":              {AnalyticsConfig{URL: "file:///tmp/x"}, "not an http or https URL"},
		"no host":             {AnalyticsConfig{URL: "http://"}, "not an http or https URL"},
		"nothing":             {AnalyticsConfig{}, "not an http or https URL"},
		"a negative interval": {AnalyticsConfig{URL: "http://a", Interval: caddy.Duration(-time.Second)}, "negative"},
	} {
		err := test.config.validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}
