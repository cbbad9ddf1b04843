package kubefaas

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/invoke"
	"github.com/kubefaas/caddy-kubefaas/route"
)

// call is one request on its way, and what is known of it. It is also the
// context that the executor is called with: the request's own, with its id.
type call struct {
	context.Context
	app     *App
	handler *Handler // nil behind reverse_proxy
	policy  *policy
	target  *target
	fn      *function.Function
	match   route.Match
	// path and rawPath are what the function sees where a prefix was removed.
	path, rawPath string
	requestID     string
	stickyKey     string
	began         time.Time
	matched       time.Duration
	headersAt     time.Time // when the response's headers came
	exchange      invoke.Exchange
	reason        string
	code          int
	size          int64
	// values are those of header fields that the call sets, so that each does
	// not cost an allocation.
	values [16]string
	used   int
}

// field is a header field's value.
func (c *call) field(value string) []string {
	if c.used == len(c.values) {
		return []string{value}
	}
	c.used++
	c.values[c.used-1] = value
	return c.values[c.used-1 : c.used : c.used]
}

// Value gives the request's id to whoever calls an executor.
func (c *call) Value(key any) any {
	if _, ok := key.(requestIDKey); ok {
		return c.requestID
	}
	return c.Context.Value(key)
}

// placeholders begin with this.
const placeholderPrefix = "http.kubefaas."

// placeholder gives the values of {http.kubefaas.*}; see caddy.Replacer.Map.
func (c *call) placeholder(key string) (any, bool) {
	key, ours := strings.CutPrefix(key, placeholderPrefix)
	if !ours {
		return nil, false
	}
	switch key {
	case "error.reason":
		return c.reason, true
	case "trigger":
		return c.triggerName(), true
	case "function":
		return c.ref().Name, true
	case "namespace":
		return c.ref().Namespace, true
	case "address":
		return c.exchange.Address, true
	case "attempts":
		return c.exchange.Attempts, true
	case "cold_start":
		return c.exchange.Cold, true
	case "wait_ms":
		return milliseconds(c.phases().wait), true
	case "match_ms":
		return milliseconds(c.phases().match), true
	case "start_ms":
		return milliseconds(c.phases().start), true
	case "dial_ms":
		return milliseconds(c.phases().dial), true
	case "ttfb_ms":
		return milliseconds(c.phases().ttfb), true
	}
	if name, isParam := strings.CutPrefix(key, "params."); isParam {
		for i := range c.match.Params {
			if p := &c.match.Params[i]; p.Name != name {
				continue
			} else if c.handler.EncodedPath {
				return c.match.Escaped(i), true
			}
			return c.match.Params[i].Value, true
		}
	}
	return nil, false
}

func (c *call) triggerName() string {
	if c.target == nil {
		return ""
	}
	return c.target.name
}

func (c *call) ref() function.Ref {
	if c.fn == nil {
		return function.Ref{}
	}
	return c.fn.Ref
}

// functionName is the function as failures name it.
func (c *call) functionName() string {
	if c.fn == nil {
		return ""
	}
	return c.fn.Ref.String()
}

// failure is why the call failed; nil if it did not.
func (c *call) failure() error {
	if c.reason == "" {
		return nil
	}
	return errors.New(c.reason)
}

// milliseconds prints a duration as Server-Timing does.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// publish makes the call's placeholders known.
func (c *call) publish(r *http.Request) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Map(c.placeholder)
	}
}

// log adds the call to the site's access log, if it has one.
func (c *call) log(r *http.Request) {
	srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || srv.Logs == nil {
		return
	}
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	ref := c.ref()
	extra.Set(zap.String("function", ref.Name))
	extra.Set(zap.String("namespace", ref.Namespace))
	extra.Set(zap.String("trigger", c.triggerName()))
	extra.Set(zap.String("address", c.exchange.Address))
	extra.Set(zap.Int("attempts", c.exchange.Attempts))
	extra.Set(zap.Bool("cold", c.exchange.Cold))
	extra.Set(zap.String("reason", c.reason))
	extra.Set(zap.Object("kubefaas_ms", c.phases()))
}

// logFailure says in the log which part failed: what Caddy does with errors
// that error routes answer.
func (c *call) logFailure(logger *zap.Logger, f *failure) {
	level := zapcore.DebugLevel
	if f.status >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	if entry := logger.Check(level, "request failed: "+titles[f.reason]); entry != nil {
		entry.Write(
			zap.String("reason", f.reason), zap.Int("status", f.status),
			zap.String("function", c.functionName()), zap.String("trigger", c.triggerName()),
			zap.String("address", c.exchange.Address), zap.Int("attempts", c.exchange.Attempts),
			zap.String("request_id", c.requestID), zap.NamedError("error", f.err),
		)
	}
}
