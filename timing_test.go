package kubefaas

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/kubefaas/caddy-kubefaas/invoke"
)

const ms = time.Millisecond

// callOf is a call whose headers came after total.
func callOf(total, matched time.Duration, trace invoke.Trace) *call {
	c := &call{began: time.Now(), matched: matched}
	c.headersAt = c.began.Add(total)
	c.exchange.Trace = trace
	return c
}

// The phases are all of the time to the response's headers: what is measured
// by none of them is waiting.
func TestPhasesAddUpToTheTotal(t *testing.T) {
	for name, test := range map[string]struct {
		call *call
		want phases
	}{
		"warm": {
			callOf(10*ms, ms, invoke.Trace{Dial: 0, TTFB: 8 * ms}),
			phases{match: ms, wait: ms, ttfb: 8 * ms},
		},
		"cold": {
			callOf(500*ms, 0, invoke.Trace{Wait: 450 * ms, Start: 400 * ms, Listen: 49 * ms, Dial: ms, TTFB: 50 * ms}),
			phases{start: 400 * ms, dial: 50 * ms, ttfb: 50 * ms},
		},
		"waiting for a place": {
			callOf(100*ms, 0, invoke.Trace{Wait: 90 * ms, TTFB: 10 * ms}),
			phases{wait: 90 * ms, ttfb: 10 * ms},
		},
		"several attempts, with pauses between": {
			callOf(400*ms, 0, invoke.Trace{Attempts: 3, Dial: 200 * ms, TTFB: 50 * ms}),
			phases{wait: 150 * ms, dial: 200 * ms, ttfb: 50 * ms},
		},
		"a start that failed": {
			callOf(300*ms, 0, invoke.Trace{Wait: 300 * ms, Start: 300 * ms}),
			phases{start: 300 * ms},
		},
	} {
		got := test.call.phases()
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
		total := test.call.headersAt.Sub(test.call.began)
		if sum := got.match + got.wait + got.start + got.dial + got.ttfb; (sum - total).Abs() > ms {
			t.Errorf("%s: got a sum of %v, want the total %v within a millisecond", name, sum, total)
		}
		if written := sumOf(t, got.serverTiming()); (written - total).Abs() > ms {
			t.Errorf("%s: got %v written in Server-Timing, want the total %v within a millisecond", name, written, total)
		}
	}
}

// sumOf adds up the durations of a Server-Timing header.
func sumOf(t *testing.T, header string) time.Duration {
	t.Helper()
	var sum float64
	for metric := range strings.SplitSeq(header, ", ") {
		_, text, _ := strings.Cut(metric, ";dur=")
		var v float64
		if _, err := fmt.Sscan(text, &v); err != nil {
			t.Fatalf("got Server-Timing %q: %v", header, err)
		}
		sum += v
	}
	return time.Duration(sum * float64(ms))
}

func TestServerTimingIsWrittenInMilliseconds(t *testing.T) {
	p := phases{match: 1500 * time.Nanosecond, wait: 2 * ms, start: time.Second, ttfb: 1234567 * time.Nanosecond}
	const want = "match;dur=0.002, wait;dur=2.000, start;dur=1000.000, dial;dur=0.000, ttfb;dur=1.235"
	if got := p.serverTiming(); got != want && got != strings.Replace(want, "0.002", "0.001", 1) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPhasesAreTheSameInEveryForm(t *testing.T) {
	c := callOf(500*ms, 3*ms, invoke.Trace{Wait: 450 * ms, Start: 300 * ms, Listen: 40 * ms, Dial: ms, TTFB: 50 * ms})
	enc := zapcore.NewMapObjectEncoder()
	if err := c.phases().MarshalLogObject(enc); err != nil {
		t.Fatal(err)
	}
	header := c.phases().serverTiming()
	for _, name := range []string{"match", "wait", "start", "dial", "ttfb"} {
		value, ok := c.placeholder("http.kubefaas." + name + "_ms")
		logged, _ := enc.Fields[name].(float64)
		if !ok || fmt.Sprintf("%.3f", logged) != value || !strings.Contains(header, fmt.Sprintf("%s;dur=%s", name, value)) {
			t.Errorf("%s: got placeholder %v, log field %v, Server-Timing %q, want them alike", name, value, logged, header)
		}
	}
}
