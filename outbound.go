package kubefaas

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kubefaas/caddy-kubefaas/invoke"
)

// outbound is the request as the function gets it, but for its address.
func (c *call) outbound(r *http.Request) *http.Request {
	header := outboundHeader(r, &c.policy.names)
	c.setForwarded(header, r)
	header[requestIDHeader] = c.field(c.requestID)
	c.describe(header, r)
	// WithContext copies it once; it is built here so that this one is not kept.
	out := (&http.Request{
		Method: r.Method,
		URL: &url.URL{
			Scheme: "http", Path: c.path, RawPath: c.rawPath,
			RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
		},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		ContentLength: r.ContentLength,
	}).WithContext(c.exchange.Context(r.Context()))
	if c.target.preserveHost {
		out.Host = r.Host
	}
	if isExtendedConnect(r) {
		connectToUpgrade(out)
		return out
	}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		c.exchange.Body = invoke.NewBody(r.Body, r.ContentLength, c.policy.MaxReplayBody)
		out.Body = http.NoBody // each attempt has its own; this says that there is one
		relayTrailer(out, r.Trailer, c.exchange.Body, &c.policy.names)
	}
	return out
}

// describe tells the function what it is called and how it was reached.
func (c *call) describe(header http.Header, r *http.Request) {
	names := &c.policy.names
	fn := c.fn
	header[names.fullURL] = c.field(fullURL(r))
	header[names.uid] = c.field(fn.UID)
	header[names.name] = c.field(fn.Name)
	header[names.namespace] = c.field(fn.Namespace)
	header[names.version] = c.field(fn.ResourceVersion)
	params := c.target.paramHeaders(names, c.match.Params)
	for i := range c.match.Params {
		p := &c.match.Params[i]
		value := p.Value
		if c.handler.EncodedPath {
			value = c.match.Escaped(i)
		}
		header[params[i]] = c.field(headerValue(value))
	}
}

// fullURL is the request's path and query as they were received.
// Caddy's rewrites, those of handle_path among them, keep it beside the request.
func fullURL(r *http.Request) string {
	if before, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && strings.HasPrefix(before.RequestURI, "/") {
		return before.RequestURI
	}
	if r.RequestURI != "" && r.RequestURI[0] == '/' {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// headerValue is a text that may stand in a header: a path variable may hold
// any byte, and one that would end the line is percent-encoded, as it was when
// it came.
func headerValue(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return url.PathEscape(s)
		}
	}
	return s
}

// isExtendedConnect says whether a request opens a WebSocket over HTTP/2 (RFC
// 8441) or HTTP/3 (RFC 9220).
func isExtendedConnect(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	return r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket"
}

// connectToUpgrade makes such a request one that HTTP/1.1 functions know (RFC
// 6455).
func connectToUpgrade(out *http.Request) {
	var key [16]byte
	_, _ = rand.Read(key[:]) // it never fails: see package crypto/rand
	out.Method = http.MethodGet
	out.ContentLength = 0
	delete(out.Header, ":protocol")
	out.Header["Connection"] = []string{"Upgrade"}
	out.Header["Upgrade"] = []string{"websocket"}
	out.Header["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key[:])}
}
