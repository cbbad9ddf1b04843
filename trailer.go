package kubefaas

import (
	"net/http"

	"github.com/kubefaas/caddy-kubefaas/invoke"
)

// noTrailers are fields that decide where a request goes, who sent it or where
// it ends: RFC 9110, section 6.5.1, wants none of them behind a body, and a
// server that takes trailers for headers must not be made to believe them.
var noTrailers = map[string]bool{
	"Authorization": true, "Content-Encoding": true, "Content-Length": true, "Content-Range": true,
	"Content-Type": true, "Cookie": true, "Expect": true, "Host": true, FORWARDED: true, X_FORWARDED_HOST: true,
	"X-Forwarded-For": true, "X-Forwarded-Proto": true, requestIDHeader: true,
}

// relayTrailer lets the function have the client's trailers, but for those that
// only the router or the head of a request may say. They are there once the body
// has been read.
func relayTrailer(out *http.Request, client http.Header, body *invoke.Body, names *headerNames) {
	if len(client) == 0 {
		return
	}
	passes := func(name string) bool {
		return !noTrailers[name] && !hopHeaders[name] && !names.forged(name)
	}
	trailer := make(http.Header, len(client))
	for name := range client {
		if passes(name) {
			trailer[name] = nil // announces it
		}
	}
	out.Trailer = trailer
	out.ContentLength = -1 // HTTP/1.1 has trailers only behind chunks
	body.AtEnd(func() {
		for name, values := range client {
			if passes(name) {
				trailer[name] = values
			}
		}
	})
}
