package kubefaas

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kubefaas/caddy-kubefaas/invoke"
	"github.com/kubefaas/caddy-kubefaas/route"
)

// ServeHTTP finds the request's function and brings the request there.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	c := &call{Context: r.Context(), app: h.app, handler: h, policy: h.app.policy, began: time.Now()}
	if h.Health && h.serveHealth(w, r, c) {
		return nil
	}
	outcome := h.find(c, r)
	c.matched = time.Since(c.began)
	if outcome != route.Matched && h.Home && isHome(r.Method, r.URL.Path) {
		if h.ServerTiming {
			c.setTiming(w.Header())
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if outcome == route.NoRoute && h.PassThru {
		return next.ServeHTTP(w, r)
	}
	c.requestID = requestID(r)
	w.Header()[requestIDHeader] = c.field(c.requestID)
	c.publish(r)
	defer c.log(r)
	switch outcome {
	case route.NoRoute:
		return h.refuse(w, r, c, &failure{status: http.StatusNotFound, reason: reasonNoRoute})
	case route.MethodNotAllowed:
		return h.refuse(w, r, c, &failure{status: http.StatusMethodNotAllowed, reason: reasonMethodNotAllowed, allow: c.match.Allow})
	}
	if c.stickyKey != "" {
		setStickyCookie(w, r, c.match.Trigger.Sticky.Name, c.stickyKey)
	}
	return h.invoke(w, r, c)
}

// routeMethod is the method by which a request finds its trigger: a WebSocket
// is a GET, also where HTTP/2 and HTTP/3 spell it otherwise.
func routeMethod(r *http.Request) string {
	if isExtendedConnect(r) {
		return http.MethodGet
	}
	return r.Method
}

// find says what a request is for: by the triggers, by the internal routes, or
// by the function that gets the rest.
func (h *Handler) find(c *call, r *http.Request) route.Outcome {
	if r.URL.Opaque != "" {
		return route.NoRoute // a target that is no path: "GET mailto:x"
	}
	if r.Method == http.MethodConnect && !isExtendedConnect(r) {
		return route.MethodNotAllowed // a tunnel: no function has any
	}
	outcome := h.table.routes.Match(route.Request{
		Host: r.Host, Method: routeMethod(r), Path: r.URL.Path, RawPath: r.URL.RawPath,
	}, &c.match)
	if outcome == route.Matched {
		var index int
		c.target = c.match.Trigger.Data.(*target)
		index, c.stickyKey = pick(&c.match, r)
		c.choose(index)
		c.rewrite(r)
		return outcome
	}
	if ref, rest, raw, ok := h.table.internalCall(r.URL.Path, r.URL.RawPath, h.app.knows); ok {
		c.target = h.singleTarget(ref, h.table.internal+"/*", upstreamStrip)
		c.choose(0)
		c.path, c.rawPath = rest, raw
		return route.Matched
	}
	if h.fallback != nil {
		c.target = h.fallback
		c.choose(0)
		c.path, c.rawPath = r.URL.Path, r.URL.RawPath
		return route.Matched
	}
	return outcome
}

func (c *call) choose(index int) {
	c.fn = c.target.functions[index]
	c.exchange.Function = c.fn
	c.exchange.Timeout = c.target.timeouts[index]
}

// rewrite sets the path that the function sees of a matched trigger.
func (c *call) rewrite(r *http.Request) {
	how := c.target.upstreamPath
	if how == "" {
		how = upstreamRoot
		if c.match.Prefix {
			how = upstreamStrip
		}
	}
	switch how {
	case upstreamKeep:
		c.path, c.rawPath = r.URL.Path, r.URL.RawPath
	case upstreamStrip:
		c.path, c.rawPath = c.match.Rest(), c.match.EscapedRest()
	default:
		c.path = "/"
	}
}

// invoke makes the exchange with the function and relays the response.
func (h *Handler) invoke(w http.ResponseWriter, r *http.Request, c *call) error {
	s := h.app.state
	calls.Add(1)
	x := &c.exchange
	x.Executor = h.app.executor
	x.Policy = &c.policy.Policy
	x.Sender = s.sender(c.fn)
	x.Values = c
	if x.Span = spanOf(r); x.Span != nil {
		var end func(error)
		c.Context, end = x.Span(c.Context, "exchange")
		r = r.WithContext(c.Context)
		x.Inject = inject
		defer func() { end(c.failure()) }()
	}
	x.Informational = func(code int, header http.Header) error {
		relayInformational(w, code, header)
		return nil
	}
	out := c.outbound(r)
	if x.Body != nil {
		x.Watch = watchClient(r)
		defer finishBody(w, x.Body)
	}
	var resp *http.Response
	err := s.invoker.Await(r.Context(), x)
	if err == nil {
		resp, err = s.invoker.RoundTrip(out, x) //nolint:bodyclose // relay closes it
	}
	c.headersAt = time.Now()
	defer c.count(r)
	if err != nil {
		return h.refuse(w, r, c, fail(err))
	}
	return h.relay(w, r, c, resp)
}

// finishBody ends the request's body. Whoever reads it still waits for the
// client, and net/http wants nobody to when the handler returns.
func finishBody(w http.ResponseWriter, b *invoke.Body) {
	b.Close()
	if !b.Waits() {
		return
	}
	endRead(http.NewResponseController(w), b)
}

// endRead ends a read of a request's body that waits for the client. Caddy takes
// the deadline away once the read has ended, and net/http is not to begin another.
func endRead(conn interface{ SetReadDeadline(time.Time) error }, b *invoke.Body) {
	_ = conn.SetReadDeadline(time.Now())
	b.Wait()
	again := time.Now()
	if b.Ended() {
		again = time.Time{} // the rest came just then: the next request may come too
	}
	_ = conn.SetReadDeadline(again)
}

// readAnyway is how much of an unread body net/http reads before it sends a
// head, so that the connection can be used again.
const readAnyway = 256 << 10

// answerEarly prepares a response to a request whose body may not have been
// read yet. A client that waits for 100 Continue, streams, or has stopped sending
// may wait for the response's head before it sends more: net/http would wait for
// it too, unless the connection ends with the response. (Its full duplex is of no
// use: it panics at the next request of a connection on which some of a body was
// left.)
func answerEarly(w http.ResponseWriter, r *http.Request, b *invoke.Body) {
	if b == nil || r.ProtoMajor != 1 || b.Ended() {
		return
	}
	if r.ContentLength < 0 || r.ContentLength > readAnyway || r.Header["Expect"] != nil || b.Waits() {
		w.Header()["Connection"] = []string{"close"}
	}
}

// refuse answers a failure: by the site's error routes if it has any for this
// one, else with the problem.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, c *call, f *failure) error {
	c.reason, c.code = f.reason, f.status
	if c.headersAt.IsZero() {
		c.headersAt = time.Now()
	}
	countFailure(f.reason)
	answerEarly(w, r, c.exchange.Body)
	f.header(w.Header(), &c.policy.names)
	if c.target != nil && c.target.serverTiming || h.ServerTiming {
		c.setTiming(w.Header())
	}
	if f.reason == reasonClientClosed {
		w.WriteHeader(f.status)
		return nil
	}
	c.logFailure(h.logger, f)
	if err := f.handlerError(h.Debug); hasErrorRoute(r, err) {
		return err
	}
	// A problem that cannot be written has nobody left to read it.
	_ = f.write(w, f.problem(c.functionName(), c.requestID, h.Debug))
	return nil
}

// setTiming writes the timing headers, beside what the function says of its
// own time.
func (c *call) setTiming(header http.Header) {
	timing := c.phases().serverTiming()
	if before := header["Server-Timing"]; before != nil {
		header["Server-Timing"] = append(slices.Clip(before), timing)
	} else {
		header["Server-Timing"] = c.field(timing)
	}
	cold := "false"
	if c.exchange.Cold {
		cold = "true"
	}
	header[c.policy.names.cold] = c.field(cold)
}
