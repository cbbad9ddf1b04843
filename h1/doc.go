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
// Registering every request with its context costs about five allocations. Most
// requests are over in a few milliseconds, so instead every connection carries a
// read deadline at most [pollInterval] away, renewed only when half of it is used
// up. A read that meets it looks at the context, and registers with it from then
// on. So a cancelled context is noticed at once in a long request and within
// pollInterval in a short one.
//
// # Why not fasthttp
//
// fasthttp's client is about as cheap and well kept. But it brings types of its own:
// each request would be copied into a fasthttp.Request and each response back into
// net/http's, header by header, which gives away a good part of the gain. Its
// response parser differs from net/http's in what it accepts, so the guarantees
// above would have to be checked around it; 1xx responses, trailers in both
// directions and early responses to streamed bodies need extra work there; its time-outs
// are not contexts. And every user's Caddy build would carry a second HTTP
// implementation with its compression libraries. What is needed here is a small part
// of a client (no TLS, no proxies, no redirects, no cookies), and the hard part,
// judging odd responses, the standard library already does.
package h1
