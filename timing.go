package kubefaas

import (
	"strconv"
	"time"

	"go.uber.org/zap/zapcore"
)

// phases are the parts of the time to the response's headers. Their sum is
// all of it: what belongs to no other part is the waiting.
type phases struct {
	match, wait, start, dial, ttfb time.Duration
}

// phases are the call's, up to the response's headers.
func (c *call) phases() phases {
	x := &c.exchange
	p := phases{match: c.matched, start: x.Start, dial: x.Listen + x.Dial, ttfb: x.TTFB}
	total := c.headersAt.Sub(c.began)
	if c.headersAt.IsZero() {
		total = time.Since(c.began)
	}
	p.wait = max(0, total-p.match-p.start-p.dial-p.ttfb)
	return p
}

// serverTiming is the Server-Timing header (W3C Server Timing).
func (p phases) serverTiming() string {
	b := make([]byte, 0, 96)
	for i, m := range [...]struct {
		name string
		d    time.Duration
	}{{"match", p.match}, {"wait", p.wait}, {"start", p.start}, {"dial", p.dial}, {"ttfb", p.ttfb}} {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, m.name...)
		b = append(b, ";dur="...)
		b = strconv.AppendFloat(b, float64(m.d)/float64(time.Millisecond), 'f', 3, 64)
	}
	return string(b)
}

// MarshalLogObject writes the phases in milliseconds.
func (p phases) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	for name, d := range map[string]time.Duration{
		"match": p.match, "wait": p.wait, "start": p.start, "dial": p.dial, "ttfb": p.ttfb,
	} {
		enc.AddFloat64(name, float64(d)/float64(time.Millisecond))
	}
	return nil
}
