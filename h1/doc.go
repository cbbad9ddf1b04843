// Package h1 is a lean HTTP/1.1 client for a proxy's upstream hop: plain text,
// one request at a time per connection, no goroutine per connection.
//
// The request is written and the head of the response is read on the caller's
// goroutine. net/http's Transport keeps two goroutines per connection and hands
// every request over four times, which is most of what a hop costs there. Only a
// request whose body is not at hand takes a goroutine here, because a function may
// answer before it has read the whole body.
//
// # Same answers as net/http
//
// A response head is parsed by code of this package only when it is complete in
// the read buffer and entirely ordinary: CRLF line ends, no folding, at most one
// Content-Length of plain digits, at most one "Transfer-Encoding: chunked" and not
// both. Whatever else arrives is left unread and goes to [http.ReadResponse], so
// the odd cases, which request smuggling is made of, are judged by the standard
// library. Chunks are decoded by its decoder too. A table test compares every
// case with net/http's Transport, a fuzz test compares with http.ReadResponse.
//
// Stricter than net/http on purpose:
//   - bytes that follow a response cost the connection at once, also when the next
//     request is already waiting for one;
//   - a space in the request target is refused, as is CONNECT;
//   - Host, Content-Length, Transfer-Encoding, Trailer and User-Agent are taken from
//     the request's fields however their keys in the header map are spelt;
//   - a request body of unknown length is always sent in chunks;
//   - a response head may have 1 MiB (net/http: 10 MiB);
//   - a Host that is not ASCII is refused (net/http: punycode, which needs tables).
//
// More lenient on purpose: when a function answers and closes before it has read the
// request body, the answer is returned although writing failed.
//
// # Cancellation without a goroutine
//
// Registering a request with its context costs about 1.5 µs and seven allocations, more
// than everything else this package does for a small request. Most requests are over
// in a few milliseconds, so instead every connection carries a read deadline at most
// [pollInterval] away, renewed only when half of it is used up. A read that meets it
// looks at the context, and registers with it from then on. So a cancelled context is
// noticed at once in a long request and within pollInterval in a short one.
//
// # Stale connections
//
// A kept connection is looked at immediately before a request is written to it, which
// costs one system call and catches nearly every connection that a function has closed.
// The same step waits for the answer in the poller, which saves the usual attempt to read
// what cannot be there yet. What is left is a function that closes while the request is on
// its way; net/http's rule says what may then be sent again.
//
// # Why not fasthttp
//
// fasthttp's client is about as cheap, and widely used. But it brings types of its own:
// each request would be copied into its Request and each response back into net/http's,
// header by header, which gives away part of the gain. What it accepts as a response is
// not what net/http accepts, so the guarantees above would have to be built around it;
// until mid 2026 it took 103 Early Hints for a final response, and informational responses
// reach no caller. Trailers, early responses to streamed bodies and contexts
// instead of time-outs need extra work too. And every user's Caddy build would carry a
// second HTTP implementation with a brotli codec. What is needed here is a small part of a
// client (no TLS, proxies, redirects or cookies), and its hardest part, judging odd
// responses, the standard library already does.
package h1
