package kubefaas

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
)

// serversFor are the HTTP servers in use, in the order of their names, to which
// a request may come: those that listen on the host's port, or all of them if it
// has none or nobody does, as behind a port mapping.
func serversFor(host string) []*caddyhttp.Server {
	configured, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil
	}
	servers := configured.(*caddyhttp.App).Servers
	var all, listening []*caddyhttp.Server
	port := (&url.URL{Host: host}).Port()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		all = append(all, servers[name])
		if port != "" && listensOn(servers[name], port) {
			listening = append(listening, servers[name])
		}
	}
	if listening != nil {
		return listening
	}
	return all
}

func listensOn(srv *caddyhttp.Server, port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && slices.ContainsFunc(srv.Listen, func(listen string) bool {
		addr, err := caddy.ParseNetworkAddress(listen)
		return err == nil && addr.StartPort <= uint(n) && uint(n) <= addr.EndPort
	})
}

// syntheticRequest is a request as the server's routes get it.
func syntheticRequest(ctx context.Context, srv *caddyhttp.Server, q *matchRequest, u *url.URL) *http.Request {
	own := *u // rewrites change it
	r := &http.Request{
		Method: q.Method, URL: &own, RequestURI: q.Path, Host: q.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, RemoteAddr: "127.0.0.1:0",
	}
	if len(srv.TLSConnPolicies) > 0 {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	}
	var local net.Addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	r = r.WithContext(context.WithValue(ctx, http.LocalAddrContextKey, local))
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, srv)
}

// maxInvoked bounds how many named routes a walk follows, since they may name
// each other in a circle.
const maxInvoked = 100

// walk follows a request through a server's routes, as the chain of handlers
// that Caddy compiles from them does, and asks the handlers of this package that
// it reaches.
type walk struct {
	server  *caddyhttp.Server
	request *http.Request
	groups  map[string]bool // of which a route has matched
	invoked int
	reached bool // a handler of this package
	view    matchView
}

// routes reports whether the request goes on behind a list of routes.
func (w *walk) routes(list caddyhttp.RouteList) (on bool) {
	for i := range list {
		if !w.route(&list[i]) {
			return false
		}
	}
	return true
}

func (w *walk) route(r *caddyhttp.Route) (on bool) {
	if w.groups[r.Group] {
		return true
	}
	matches, err := r.MatcherSets.AnyMatchWithError(w.request)
	if err != nil {
		return w.stop("a matcher in front of the handlers failed: " + err.Error())
	}
	if !matches {
		return true
	}
	w.groups[r.Group] = r.Group != ""
	for _, handler := range r.Handlers {
		if !w.handler(handler) {
			return false
		}
	}
	return !r.Terminal
}

// handler does what a handler does with the request before the next one gets
// it, as far as it is known without having it answer.
func (w *walk) handler(handler caddyhttp.MiddlewareHandler) (on bool) {
	switch h := handler.(type) {
	case *Handler:
		return w.ask(h)
	case *caddyhttp.Subroute:
		return w.routes(h.Routes)
	case *caddyhttp.Invoke:
		named, ok := w.server.NamedRoutes[h.Name]
		if w.invoked++; !ok || w.invoked > maxInvoked {
			return w.stop("the named route " + h.Name + " is none, or invokes itself")
		}
		return w.route(named)
	case *rewrite.Rewrite: // handle_path and uri too
		h.Rewrite(w.request, replacerOf(w.request))
	case *caddyhttp.VarsMiddleware:
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
		return h.ServeHTTP(nil, w.request, next) == nil
	case *caddyhttp.StaticResponse:
		if h.StatusCode != caddyhttp.WeakString(strconv.Itoa(http.StatusEarlyHints)) {
			return w.stop("respond, redir or abort answers it, at " + w.place())
		}
	case *caddyhttp.StaticError:
		return w.stop("error answers it, at " + w.place())
	}
	return true
}

// place is where the server listens.
func (w *walk) place() string { return strings.Join(w.server.Listen, " ") }

// stop notes why the request does not go on.
func (w *walk) stop(why string) (on bool) {
	w.view.Steps = append(w.view.Steps, stepView{Reason: why})
	return false
}
