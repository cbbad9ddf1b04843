package kubefaas

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
)

// requestIDHeader names a request through all parts of the platform.
const requestIDHeader = "X-Request-Id"

// hopHeaders end at the next hop (RFC 9110, section 7.6.1, and the ones that
// practice has added).
var hopHeaders = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true,
	"Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Http2-Settings": true,
}

// outboundHeader is the header that the function sees of the client's: without
// what ends at this hop, and without what only the router may say. The values
// are shared with the request; nobody may write to them.
func outboundHeader(r *http.Request, names *headerNames) http.Header {
	out := make(http.Header, len(r.Header)+12)
	for name, values := range r.Header {
		if !hopHeaders[name] && !names.forged(name) {
			out[name] = values
		}
	}
	for _, line := range r.Header["Connection"] {
		for field := range strings.SplitSeq(line, ",") {
			if field = textproto.TrimString(field); field != "" {
				delete(out, textproto.CanonicalMIMEHeaderKey(field))
			}
		}
	}
	if hasToken(r.Header["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
	if protocol := upgradeOf(r.Header); protocol != "" && r.ProtoAtLeast(1, 1) {
		out["Connection"] = []string{"Upgrade"}
		out["Upgrade"] = []string{protocol}
	}
	return out
}

// upgradeOf is the protocol that a message wants to change to, "" if none.
func upgradeOf(h http.Header) string {
	if !hasToken(h["Connection"], "upgrade") {
		return ""
	}
	return h.Get("Upgrade")
}

// hasToken says whether a list-valued header has a token, in any case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		if strings.EqualFold(line, token) {
			return true
		}
		for field := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(field), token) {
				return true
			}
		}
	}
	return false
}

// setForwarded says who the client is and what it asked for. What the sender
// said of that itself counts only if it is one of the server's trusted
// proxies.
func (c *call) setForwarded(h http.Header, r *http.Request) {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	if !trusted || (len(h[FORWARDED]) == 0 && len(h[X_FORWARDED_HOST]) == 0) {
		if r.Host == "" { // as HTTP/1.0 may have it
			delete(h, FORWARDED)
			delete(h, X_FORWARDED_HOST)
		} else {
			h[FORWARDED] = c.field("host=" + forwardedHost(r.Host) + ";")
			h[X_FORWARDED_HOST] = c.field(r.Host)
		}
	}
	c.setForwardedFor(h, r, trusted)
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	if prior := h["X-Forwarded-Proto"]; !trusted || len(prior) == 0 || prior[len(prior)-1] == "" {
		h["X-Forwarded-Proto"] = c.field(proto)
	} else if len(prior) > 1 {
		h["X-Forwarded-Proto"] = prior[len(prior)-1:]
	}
}

func (c *call) setForwardedFor(h http.Header, r *http.Request, trusted bool) {
	peer := peerIP(r.RemoteAddr)
	prior := h["X-Forwarded-For"]
	switch {
	case !trusted && peer == "":
		delete(h, "X-Forwarded-For")
	case !trusted || len(prior) == 0:
		if peer != "" {
			h["X-Forwarded-For"] = c.field(peer)
		}
	case peer == "":
		h["X-Forwarded-For"] = []string{strings.Join(prior, ", ")}
	default:
		h["X-Forwarded-For"] = []string{strings.Join(prior, ", ") + ", " + peer}
	}
}

// peerIP is the address of the sender, without its port and zone; "" for a
// sender that has none, such as one on a Unix socket.
func peerIP(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return ""
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

// forwardedHost is a Host header as the Forwarded header writes it: quoted if
// it is an IPv6 address, or has a byte that would end the value there (RFC
// 7239, sections 4 and 6). A port's colon stays bare, as v1.8 wrote it.
func forwardedHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() || !isBareHost(host) {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(host) + `"`
	}
	return host
}

func isBareHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_', c == ':':
		default:
			return false
		}
	}
	return true
}

// requestID is the request's id: the client's, or a new one.
func requestID(r *http.Request) string {
	if ids := r.Header[requestIDHeader]; len(ids) > 0 && ids[0] != "" {
		return ids[0]
	}
	return newRequestID()
}

// newRequestID is a random UUID (RFC 9562, version 4). Ids have to be unique,
// not secret, so they need not cost a call of the operating system.
func newRequestID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// clientIP is the address of the client behind trusted proxies.
func clientIP(ctx context.Context, remote string) string {
	if ip, ok := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string); ok && ip != "" {
		return ip
	}
	return peerIP(remote)
}

// join lists words as a header does.
func join(words []string) string { return strings.Join(words, ", ") }
