package caddytest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is one scrape of Caddy's /metrics, by name of the metric family.
type Metrics map[string]*dto.MetricFamily

// Metrics scrapes the admin endpoint, and fails the test if what comes is not
// valid in Prometheus' text format.
func (c *Caddy) Metrics(t testing.TB) Metrics {
	t.Helper()
	body := c.adminGet(t, "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("caddytest: parsing /metrics: %v", err)
	}
	return families
}

// Sum adds up all series of a counter, gauge or untyped metric that carry the
// given labels, written as name, value, name, value…. Of a histogram or summary
// it adds up the numbers of observations. A metric or series that is not there
// counts 0; see [Metrics.Has].
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
	for _, series := range m.series(name, labels) {
		switch {
		case series.Counter != nil:
			sum += series.Counter.GetValue()
		case series.Gauge != nil:
			sum += series.Gauge.GetValue()
		case series.Untyped != nil:
			sum += series.Untyped.GetValue()
		case series.Histogram != nil:
			sum += float64(series.Histogram.GetSampleCount())
		case series.Summary != nil:
			sum += float64(series.Summary.GetSampleCount())
		}
	}
	return sum
}

// Has reports whether a series with these labels exists.
func (m Metrics) Has(name string, labels ...string) bool {
	return len(m.series(name, labels)) > 0
}

// Names lists the families whose name starts with prefix, sorted.
func (m Metrics) Names(prefix string) []string {
	var names []string
	for name := range m {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// series returns the series of a family that carry all the given labels.
func (m Metrics) series(name string, labels []string) []*dto.Metric {
	if len(labels)%2 != 0 {
		panic(fmt.Sprintf("caddytest: labels of %s come in pairs of name and value, got %q", name, labels))
	}
	family := m[name]
	if family == nil {
		return nil
	}
	var found []*dto.Metric
	for _, series := range family.Metric {
		if hasLabels(series, labels) {
			found = append(found, series)
		}
	}
	return found
}

func hasLabels(series *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		ok := slices.ContainsFunc(series.Label, func(l *dto.LabelPair) bool {
			return l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		})
		if !ok {
			return false
		}
	}
	return true
}
