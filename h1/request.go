package h1

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// prepare decides how the request's body is framed and builds the head in w. It
// refuses whatever could be read as something else than what was meant. Nothing
// is written to a connection yet.
func (x *exchange) prepare(w *writer) error {
	req := x.req
	if err := checkRequest(req); err != nil {
		return err
	}
	if x.body == nil && req.Body != nil && req.Body != http.NoBody {
		x.body = req.Body
		x.length, x.chunked = bodyLength(req)
		x.expect = hasToken(req.Header["Expect"], "100-continue")
	}
	return x.appendHead(w)
}

// bodyLength returns the length of a body that is there, or that it goes in chunks.
func bodyLength(req *http.Request) (n int64, chunked bool) {
	te := req.TransferEncoding
	if req.ContentLength <= 0 || len(te) > 0 && te[0] == "chunked" {
		return -1, true
	}
	return req.ContentLength, false
}

func checkRequest(req *http.Request) error {
	switch {
	case req.URL == nil:
		return invalid("no URL")
	case req.Header == nil:
		return invalid("no header map")
	case req.URL.Scheme != "http":
		return invalid("scheme %q", req.URL.Scheme)
	case req.URL.Host == "":
		return invalid("no host in the URL")
	case req.Method == http.MethodConnect:
		return invalid("method CONNECT")
	case !consistsOf(req.Method, inToken):
		return invalid("method %q", req.Method)
	case req.Body == nil && req.ContentLength != 0:
		return invalid("a length of %d without a body", req.ContentLength)
	}
	return checkTrailer(req.Trailer)
}

// checkTrailer checks a request's trailer: what is announced before the body and
// what has been filled in after it.
func checkTrailer(h http.Header) error {
	for k, vv := range h {
		switch http.CanonicalHeaderKey(k) {
		case "Transfer-Encoding", "Trailer", "Content-Length":
			return invalid("trailer %q", k)
		}
		if err := checkField(k, vv); err != nil {
			return err
		}
	}
	return nil
}

func checkField(k string, vv []string) error {
	if k == "" || !consistsOf(k, inToken) {
		return invalid("field name %q", k)
	}
	for _, v := range vv {
		if !consistsOf(v, inValue) {
			return invalid("value of field %q", k) // not the value: it may be a secret
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidRequest}, args...)...)
}

// appendHead writes the request line and the fields, framing included.
func (x *exchange) appendHead(w *writer) error {
	req := x.req
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	b := append(w.buf, method...)
	b = append(b, ' ')
	b, err := appendTarget(b, req)
	if err != nil {
		return err
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	host, err := hostHeader(req)
	if err != nil {
		return err
	}
	b = append(b, host...)
	b = append(b, "\r\n"...)
	if ua := req.Header["User-Agent"]; len(ua) > 0 && ua[0] != "" {
		if err := checkField("User-Agent", ua[:1]); err != nil {
			return err
		}
		b = appendField(b, "User-Agent", ua[0])
	}
	b = x.appendFraming(b, method)
	for k, vv := range req.Header {
		if err := checkField(k, vv); err != nil {
			return err
		}
		if ownField(k) {
			continue
		}
		for _, v := range vv {
			b = appendField(b, k, v)
		}
	}
	w.buf = append(b, "\r\n"...)
	return nil
}

// ownField reports whether a field is written by other means than the header map.
// Keys in the map need not be canonical, and a second Host or Content-Length in
// another spelling would be a smuggling device.
func ownField(k string) bool {
	switch len(k) {
	case len("Host"):
		return strings.EqualFold(k, "Host")
	case len("Trailer"):
		return strings.EqualFold(k, "Trailer")
	case len("User-Agent"):
		return strings.EqualFold(k, "User-Agent")
	case len("Content-Length"):
		return strings.EqualFold(k, "Content-Length")
	case len("Transfer-Encoding"):
		return strings.EqualFold(k, "Transfer-Encoding")
	}
	return false
}

// appendFraming writes Connection, Content-Length, Transfer-Encoding and Trailer.
func (x *exchange) appendFraming(b []byte, method string) []byte {
	req := x.req
	if req.Close && !hasToken(req.Header["Connection"], "close") {
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case x.body == nil:
		// Many servers want a length from these methods.
		if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
			b = append(b, "Content-Length: 0\r\n"...)
		}
	case x.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		if len(req.Trailer) > 0 {
			names := slices.Sorted(maps.Keys(req.Trailer))
			b = appendField(b, "Trailer", strings.Join(names, ","))
		}
	default:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, x.length, 10)
		b = append(b, "\r\n"...)
	}
	return b
}

func appendField(b []byte, k, v string) []byte {
	b = append(b, k...)
	b = append(b, ": "...)
	b = append(b, trimSpace(v)...)
	return append(b, "\r\n"...)
}

// appendTarget writes the request target as url.URL.RequestURI spells it, without
// its copies.
func appendTarget(b []byte, req *http.Request) ([]byte, error) {
	start, u := len(b), req.URL
	if u.Opaque != "" {
		b = append(b, u.RequestURI()...)
	} else {
		if path := u.EscapedPath(); path != "" {
			b = append(b, path...)
		} else {
			b = append(b, '/')
		}
		if u.ForceQuery || u.RawQuery != "" {
			b = append(b, '?')
			b = append(b, u.RawQuery...)
		}
	}
	for _, c := range b[start:] {
		if class[c]&inTarget == 0 {
			return nil, invalid("blank or control character in the URL")
		}
	}
	return b, nil
}

// hostHeader returns what goes into Host. Like net/http it sends an empty Host in
// place of one with bytes that no host has, and drops an IPv6 zone.
func hostHeader(req *http.Request) (string, error) {
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	if !isASCII(host) {
		return "", invalid("host %q", host)
	}
	if !consistsOf(host, inHost) {
		return "", nil
	}
	if end := strings.LastIndexByte(host, ']'); strings.HasPrefix(host, "[") && end > 0 {
		if zone := strings.LastIndexByte(host[:end], '%'); zone > 0 {
			host = host[:zone] + host[end:]
		}
	}
	return host, nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
