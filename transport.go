package kubefaas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/kubefaas/caddy-kubefaas/invoke"
	"github.com/kubefaas/caddy-kubefaas/retry"
)

// Transport is a transport for `reverse_proxy` that tries again: it asks for
// another address when one does not answer, and backs off in between. It is
// made for `dynamic kubefaas`; with other upstreams it tries the same address
// again, and then leaves it to reverse_proxy.
//
// It takes all options of `transport http` too. Leave reverse_proxy's own
// `lb_retries` and `lb_try_duration` unset: two loops would multiply.
type Transport struct {
	reverseproxy.HTTPTransport

	// How to try again. Default: as the upstream source does.
	Retry *Retry `json:"retry,omitempty"`

	app    *App
	policy *policy // nil: the source's
	own    bool    // the HTTP transport's options are in use
	sender invoke.Sender
	logger *zap.Logger
}

// RetryingRoundTripper is v1.8's name for Transport.
type RetryingRoundTripper = Transport

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.kubefaas", New: func() caddy.Module { return new(Transport) }}
}

// Provision joins the app. Without options of its own the transport uses the
// connections that all functions share, which stay open over a reload.
func (t *Transport) Provision(ctx caddy.Context) error {
	t.logger = ctx.Logger()
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	t.app = app.(*App)
	if t.Retry != nil {
		t.policy = t.app.policy.withRetry(t.app, t.Retry)
	}
	options, err := json.Marshal(t.HTTPTransport)
	if err != nil {
		return err
	}
	t.own = !bytes.Equal(options, []byte("{}"))
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	if !t.own {
		return nil
	}
	inner := t.HTTPTransport.Transport
	dial := inner.DialContext
	inner.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if conn := t.app.state.endpoints.TakeConn(addr); conn != nil {
			return conn, nil
		}
		ctx, cancel := invoke.WithDialTimeout(ctx)
		defer cancel()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, &invoke.DialError{Err: err}
		}
		return conn, nil
	}
	t.sender = invoke.NewSender(roundTripper(t.exchange))
	return nil
}

// Validate judges the retry settings.
func (t *Transport) Validate() error {
	if err := t.Retry.validate(); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	if t.ProxyProtocol != "" {
		return errors.New("proxy_protocol: functions share connections, which would tell one client's address for another's")
	}
	return nil
}

// UnmarshalCaddyfile sets up the transport. Syntax:
//
//	transport kubefaas {
//		retry {
//			...
//		}
//		<any option of transport http>
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	name := d.Token()
	if d.NextArg() {
		return d.ArgErr()
	}
	open, end := name, name
	open.Text, end.Text = "{", "}"
	rest := []caddyfile.Token{name, open}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "retry" {
			segment := d.NextSegment()
			rest = append(rest, segment...)
			end.Line = segment[len(segment)-1].Line + 1
			continue
		}
		if t.Retry != nil {
			return d.Errf("retry stands twice")
		}
		if err := unmarshalRetry(d, &t.Retry); err != nil {
			return err
		}
	}
	if len(rest) == 2 {
		return nil
	}
	return t.HTTPTransport.UnmarshalCaddyfile(caddyfile.NewDispenser(append(rest, end)))
}

// roundTripper is a function that is an http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// RoundTrip brings a request of reverse_proxy to its function. What it returns
// is not wrapped: reverse_proxy tells errors apart by their type.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, ok := caddyhttp.GetVar(req.Context(), proxiedVar).(*proxied)
	if !ok {
		return t.static(req)
	}
	defer p.forget()
	if p.err != nil {
		return t.refuse(req, p, p.err)
	}
	x := &p.exchange
	if t.policy != nil {
		x.Policy = &t.policy.Policy
	}
	if x.Sender = t.sender; !t.own {
		x.Sender = t.app.state.sender(x.Function)
	}
	// reverse_proxy has set the scheme and the Host already, and the address
	// may change with each attempt.
	out := req.WithContext(req.Context())
	url := *req.URL
	out.URL = &url
	t.setHeader(out, p)
	if out.Host == "" {
		out.Host = req.URL.Host
	}
	t.SetScheme(out)
	if req.Body != nil && req.Body != http.NoBody {
		x.Body = invoke.NewBody(req.Body, req.ContentLength, x.Policy.MaxReplayBody)
		relayTrailer(out, req.Trailer, x.Body, &t.app.policy.names)
	}
	resp, err := t.app.state.invoker.RoundTrip(out, x)
	p.headersAt = time.Now()
	if err != nil {
		p.endUpload()
		return t.refuse(req, p, err)
	}
	if resp.Header[requestIDHeader] == nil {
		resp.Header[requestIDHeader] = []string{p.requestID}
	}
	p.answered(req, resp)
	return resp, nil
}

// setHeader gives a request a header of its own, without what only the router
// may say, and with an id: reverse_proxy's header_up may have set another.
func (t *Transport) setHeader(out *http.Request, p *proxied) {
	header := make(http.Header, len(out.Header)+1)
	for name, values := range out.Header {
		if !t.app.policy.names.forged(name) {
			header[name] = values
		}
	}
	out.Header = header
	if header.Get(requestIDHeader) != "" {
		p.requestID = requestID(out)
	}
	header[requestIDHeader] = []string{p.requestID}
}

// refuse answers a failure: by the site's error routes if it has any for this
// one, else with the problem.
func (t *Transport) refuse(req *http.Request, p *proxied, err error) (*http.Response, error) {
	f := fail(err)
	p.failed(req, f.status, f.reason)
	if f.reason == reasonClientClosed {
		return nil, context.Canceled
	}
	p.logFailure(t.logger, f)
	handler := f.handlerError(false)
	if hasErrorRoute(req, handler) {
		return nil, handler
	}
	body, merr := json.Marshal(f.problem(p.functionName(), p.requestID, false))
	if merr != nil {
		return nil, merr
	}
	header := http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}, requestIDHeader: {p.requestID}}
	f.header(header, &t.app.policy.names)
	return &http.Response{
		StatusCode: f.status, Status: http.StatusText(f.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		Request: req,
	}, nil
}

// exchange makes one exchange by the HTTP transport, at the address that the
// attempt has: reverse_proxy's dial info would lead to the first one's.
func (t *Transport) exchange(req *http.Request) (*http.Response, error) {
	if info, ok := reverseproxy.GetDialInfo(req.Context()); ok {
		host, port, err := net.SplitHostPort(req.URL.Host)
		if err != nil {
			return nil, err
		}
		info.Address, info.Host, info.Port = req.URL.Host, host, port
		req = req.WithContext(context.WithValue(req.Context(), dialInfoKey, info))
	}
	return t.HTTPTransport.RoundTrip(req)
}

// dialInfoKey is where reverse_proxy keeps what GetDialInfo gives.
const dialInfoKey = caddy.CtxKey("reverse_proxy.dial_info")

// static brings a request to an upstream that is not of this module's source:
// there is nobody to ask for another address. What is left is to try the same
// one again; that it cannot be reached is told as reverse_proxy knows it, so
// that its own load balancing goes on to the next.
func (t *Transport) static(req *http.Request) (*http.Response, error) {
	policy := t.app.policy
	if t.policy != nil {
		policy = t.policy
	}
	attempts := policy.Retry.Attempts()
	for {
		resp, err := t.HTTPTransport.RoundTrip(req)
		if err == nil {
			return resp, nil
		}
		outcome := retry.Classify(err, retry.Exchange{ClientGone: req.Context().Err() != nil})
		if outcome != retry.Refused && outcome != retry.DialTimeout {
			return nil, err
		}
		decision := attempts.Next(outcome)
		if decision.Action == retry.Final {
			return nil, reverseproxy.NewDialError(err)
		}
		if err := invoke.Sleep(req.Context(), decision.Delay); err != nil {
			return nil, err
		}
	}
}

// Cleanup closes the connections that are this transport's own.
func (t *Transport) Cleanup() error {
	if t.HTTPTransport.Transport == nil {
		return nil
	}
	return t.HTTPTransport.Cleanup()
}

// Interface guards
var (
	_ http.RoundTripper         = (*Transport)(nil)
	_ caddy.Provisioner         = (*Transport)(nil)
	_ caddy.Validator           = (*Transport)(nil)
	_ caddy.CleanerUpper        = (*Transport)(nil)
	_ caddyfile.Unmarshaler     = (*Transport)(nil)
	_ reverseproxy.TLSTransport = (*Transport)(nil)
)
