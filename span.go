package kubefaas

import (
	"context"
	"net/http"
	"sync"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/invoke"
)

// spanOf makes spans below the one that Caddy's tracing directive has begun;
// nil if there is none.
func spanOf(r *http.Request) invoke.Span {
	parent := trace.SpanFromContext(r.Context())
	if !parent.SpanContext().IsValid() {
		return nil
	}
	tracer := parent.TracerProvider().Tracer("github.com/kubefaas/caddy-kubefaas")
	return func(ctx context.Context, name string) (context.Context, func(error)) {
		ctx, span := tracer.Start(ctx, name)
		return ctx, func(err error) {
			if err != nil {
				span.RecordError(err)
				span.SetStatus(codes.Error, err.Error())
			}
			span.End()
		}
	}
}

// propagator is what Caddy's tracing directive uses: it reads the environment
// (OTEL_PROPAGATORS), and is not OpenTelemetry's global one.
var propagator = sync.OnceValue(func() propagation.TextMapPropagator { return autoprop.NewTextMapPropagator() })

// inject writes the trace context of ctx into a header.
func inject(ctx context.Context, header http.Header) {
	propagator().Inject(ctx, propagation.HeaderCarrier(header))
}

// requestIDKey is the context key of the request's id.
type requestIDKey struct{}

// traced gives the executor's call the id and the trace context that the
// request has.
func traced(ctx context.Context) context.Context {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		ctx = executor.WithRequestID(ctx, id)
	}
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	header := make(http.Header)
	inject(ctx, header)
	return executor.WithHeader(ctx, header)
}

// withRequestID is what an executor's call sees of a request with this id.
func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}
