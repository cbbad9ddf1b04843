package caddytest

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span is what a test reads of an OpenTelemetry span.
type span struct {
	name, trace, id, parent string
	failed                  bool
}

// collector is a receiver of OTLP traces over HTTP, in protobuf.
type collector struct {
	*httptest.Server
	mu     sync.Mutex
	spans  []span
	faults []error
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// env makes a Caddy send its traces here, soon.
func (c *collector) env() Option {
	return Env("OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=20")
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	// A request to export is on the wire what a file of traces is.
	var data tracepb.TracesData
	if err == nil {
		err = proto.Unmarshal(body, &data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || r.URL.Path != "/v1/traces" {
		c.faults = append(c.faults, fmt.Errorf("%s %s: %w", r.Method, r.URL, err))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, resource := range data.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span{
					name: s.Name, trace: hex.EncodeToString(s.TraceId), id: hex.EncodeToString(s.SpanId),
					parent: hex.EncodeToString(s.ParentSpanId), failed: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR,
				})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// await waits until n spans of a trace have come, and returns them by name;
// those of one name are in the order in which they ended.
func (c *collector) await(t *testing.T, trace string, n int) map[string][]span {
	t.Helper()
	var found map[string][]span
	total := 0
	Eventually(t, patience, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		found, total = make(map[string][]span), 0
		for _, s := range c.spans {
			if s.trace == trace {
				found[s.name] = append(found[s.name], s)
				total++
			}
		}
		return total >= n
	}, func() string {
		return fmt.Sprintf("got spans %+v of trace %s, want %d; faults %v", found, trace, n, c.faults)
	})
	return found
}
