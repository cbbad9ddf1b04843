package h1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
)

const ok = "HTTP/1.1 200 OK\r\n"

// rawCase is what a server answers. Without stays the server closes after it.
type rawCase struct {
	name   string
	raw    string
	method string // GET if empty
	stays  bool   // the server keeps the connection open and answers a second request
	// surplus: bytes follow the response. net/http notices them some time after it has
	// made the connection available, sometimes too late; here that must never happen.
	surplus bool
	// stricter says why RoundTrip fails where net/http's does not.
	stricter string
}

var rawCases = []rawCase{
	// Lengths
	{name: "content length", raw: ok + "Content-Length: 5\r\n\r\nhello", stays: true},
	{name: "content length zero", raw: ok + "Content-Length: 0\r\n\r\n", stays: true},
	{name: "content length with leading zeros", raw: ok + "Content-Length: 0005\r\n\r\nhello", stays: true},
	{name: "content length with blanks around it", raw: ok + "Content-Length: \t 5 \t\r\n\r\nhello", stays: true},
	{name: "content length empty", raw: ok + "Content-Length:\r\n\r\nhello"},
	{name: "content length negative", raw: ok + "Content-Length: -5\r\n\r\nhello"},
	{name: "content length with plus", raw: ok + "Content-Length: +5\r\n\r\nhello"},
	{name: "content length in hex", raw: ok + "Content-Length: 0x5\r\n\r\nhello"},
	{name: "content length with underscore", raw: ok + "Content-Length: 1_0\r\n\r\n0123456789"},
	{name: "content length as a list", raw: ok + "Content-Length: 5, 5\r\n\r\nhello"},
	{name: "content length over 63 bits", raw: ok + "Content-Length: 9223372036854775808\r\n\r\nhello"},
	{name: "content length of 19 digits", raw: ok + "Content-Length: 0000000000000000005\r\n\r\nhello", stays: true},
	{name: "content length twice, equal", raw: ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "content length twice, different", raw: ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
	{name: "content length twice, spelt differently", raw: ok + "Content-Length: 5\r\ncontent-length: 05\r\n\r\nhello"},
	{name: "content length longer than the body", raw: ok + "Content-Length: 10\r\n\r\nhello"},
	{name: "no length until the end", raw: ok + "Content-Type: text/plain\r\n\r\nhello"},
	{name: "no length, empty body", raw: ok + "\r\n"},
	{name: "no fields at all", raw: "HTTP/1.1 204 No Content\r\n\r\n", stays: true},

	// Transfer codings
	{name: "chunked", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stays: true},
	{name: "chunked, several chunks", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", stays: true},
	{name: "chunked in capitals", raw: ok + "Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stays: true},
	{name: "chunked, size in upper-case hex with zeros", raw: ok + "Transfer-Encoding: chunked\r\n\r\n000A\r\n0123456789\r\n0\r\n\r\n", stays: true},
	{name: "chunk extension", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", stays: true},
	{name: "chunk extension with bare LF", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n"},
	{name: "chunk size with bare LF", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"},
	{name: "chunk size with a CR inside", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r;x\r\nhello\r\n0\r\n\r\n"},
	{name: "chunk size not hex", raw: ok + "Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n"},
	{name: "chunk size too large", raw: ok + "Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\nhello\r\n0\r\n\r\n"},
	{name: "chunk size negative", raw: ok + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"},
	{name: "chunk longer than its size", raw: ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n"},
	{name: "chunk without CRLF behind it", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"},
	{name: "chunked, cut off in a chunk", raw: ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nhello"},
	{name: "chunked, no last chunk", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
	{name: "chunked, no blank line at the end", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"},
	{name: "chunked and content length", raw: ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stays: true},
	{name: "content length behind chunked", raw: ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stays: true},
	{name: "chunked and bad content length", raw: ok + "Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{name: "transfer encoding twice", raw: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{name: "transfer encoding chunked twice in a list", raw: ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
	{name: "transfer encoding gzip, chunked", raw: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
	{name: "transfer encoding identity", raw: ok + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "transfer encoding empty", raw: ok + "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "transfer encoding with vertical tab", raw: ok + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n"},
	{name: "transfer encoding with a blank before the colon", raw: ok + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "transfer encoding folded", raw: ok + "Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stays: true},
	{name: "transfer encoding in HTTP/1.0", raw: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},

	// Trailers
	{name: "trailer announced", raw: ok + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", stays: true},
	{name: "trailer not announced", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n", stays: true},
	{name: "trailer announced, not sent", raw: ok + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays: true},
	{name: "trailer without chunks", raw: ok + "Trailer: X-Sum\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "trailer announces content length", raw: ok + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
	{name: "trailer malformed", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX Sum\r\n\r\n"},
	{name: "trailer cut off", raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n"},
	{name: "trailer too long", raw: ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: " + strings.Repeat("1", 5000) + "\r\n\r\n"},

	// Responses without bodies
	{name: "HEAD with length", method: "HEAD", raw: ok + "Content-Length: 5\r\n\r\n", stays: true},
	{name: "HEAD without length", method: "HEAD", raw: ok + "Content-Type: text/plain\r\n\r\n", stays: true},
	{name: "HEAD chunked", method: "HEAD", raw: ok + "Transfer-Encoding: chunked\r\n\r\n", stays: true},
	{name: "HEAD with bad length", method: "HEAD", raw: ok + "Content-Length: x\r\n\r\n"},
	{name: "HEAD answered with a body", method: "HEAD", raw: ok + "Content-Length: 5\r\n\r\nhello", stays: true, surplus: true},
	{name: "204", raw: "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", stays: true},
	{name: "204 with length and body", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", stays: true, surplus: true},
	{name: "204 chunked with body", raw: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", stays: true, surplus: true},
	{name: "304 with length", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", stays: true},
	{name: "304 with body", raw: "HTTP/1.1 304 Not Modified\r\n\r\nhello", stays: true, surplus: true},
	{name: "304 with bad length", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5x\r\n\r\n"},

	// Surplus bytes
	{name: "second response behind the first", raw: ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 4\r\n\r\nevil", stays: true, surplus: true},
	{name: "CRLF behind the response", raw: ok + "Content-Length: 5\r\n\r\nhello\r\n", stays: true, surplus: true},
	{name: "bytes behind the last chunk", raw: ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", stays: true, surplus: true},

	// Informational responses
	{name: "100 unasked", raw: "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", stays: true},
	{name: "103 with links, then 200", raw: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", stays: true},
	{name: "many informational responses", raw: strings.Repeat("HTTP/1.1 102 Processing\r\nX-N: 1\r\n\r\n", 20) + ok + "Content-Length: 5\r\nX-N: 2\r\n\r\nhello", stays: true},
	{name: "103 with a length", raw: "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", stays: true},
	{name: "103 and nothing more", raw: "HTTP/1.1 103 Early Hints\r\n\r\n"},
	{name: "101 without upgrade", raw: "HTTP/1.1 101 Switching Protocols\r\n\r\n", stays: true},
	{name: "199", raw: "HTTP/1.1 199 Odd\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", stays: true},

	// Connection
	{name: "connection close", raw: ok + "Connection: close\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "connection close while staying open", raw: ok + "Connection: Close\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "connection close in a list", raw: ok + "Connection: x-a, close\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "connection close in a second field", raw: ok + "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "connection close before keep-alive", raw: ok + "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "connection keep-alive", raw: ok + "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "connection with an odd value", raw: ok + "Connection: closed\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "HTTP/1.0", raw: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "HTTP/1.0 keep-alive", raw: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "HTTP/1.0 until the end", raw: "HTTP/1.0 200 OK\r\n\r\nhello"},

	// Status lines
	{name: "status line without reason", raw: "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "status line with a blank for a reason", raw: "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "status line with two blanks", raw: "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "status line with a bare CR", raw: "HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "status line with a bare LF", raw: "HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "status line with a NUL", raw: "HTTP/1.1 200 O\x00K\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "status code of two digits", raw: "HTTP/1.1 20 OK\r\n\r\n"},
	{name: "status code of four digits", raw: "HTTP/1.1 2000 OK\r\n\r\n"},
	{name: "status code not a number", raw: "HTTP/1.1 2x0 OK\r\n\r\n"},
	{name: "status code with a sign", raw: "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n"},
	{name: "status code 099", raw: "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"},
	{name: "status code 999", raw: "HTTP/1.1 999 High\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "version HTTP/2.0", raw: "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "version HTTP/1.2", raw: "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "version HTTP/0.9", raw: "HTTP/0.9 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "version without minor", raw: "HTTP/1 200 OK\r\n\r\nhello"},
	{name: "version in lower case", raw: "http/1.1 200 OK\r\n\r\nhello"},
	{name: "no status line", raw: "hello\r\n\r\n"},
	{name: "blank line first", raw: "\r\n" + ok + "Content-Length: 5\r\n\r\nhello"},
	{name: "blanks first", raw: " " + ok + "Content-Length: 5\r\n\r\nhello"},
	{name: "nothing", raw: ""},
	{name: "cut off in the status line", raw: "HTTP/1.1 20"},
	{name: "cut off in a field", raw: ok + "Content-Le"},
	{name: "cut off before the blank line", raw: ok + "Content-Length: 0\r\n"},

	// Fields
	{name: "obs-fold", raw: ok + "X-A: one\r\n two\r\n\tthree\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "obs-fold in the first field", raw: ok + " X-A: one\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "obs-fold of content length", raw: ok + "Content-Length:\r\n 5\r\n\r\nhello", stays: true},
	{name: "bare LF line ends", raw: "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", stays: true},
	{name: "bare LF at the head's end", raw: ok + "Content-Length: 5\r\n\nhello", stays: true},
	{name: "bare CR in a value", raw: ok + "X-A: one\rX-B: two\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "bare CR line end", raw: ok + "X-A: one\rContent-Length: 5\r\n\r\nhello"},
	{name: "two CRs at a line's end", raw: ok + "X-A: one\r\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "NUL in a value", raw: ok + "X-A: o\x00ne\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "DEL in a value", raw: ok + "X-A: o\x7fne\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "tab and high bytes in a value", raw: ok + "X-A: o\tn\xe9\xff\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "empty value", raw: ok + "X-A:\r\nX-B: \t \r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "no colon", raw: ok + "X-A one\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "empty name", raw: ok + ": one\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "blank in a name", raw: ok + "X A: one\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "blank before the colon", raw: ok + "X-A : one\r\nContent-Length : 5\r\n\r\nhello"},
	{name: "tab before the colon", raw: ok + "X-A\t: one\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "high byte in a name", raw: ok + "X-\xc3\xa9: one\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "bracket in a name", raw: ok + "X[a]: one\r\nContent-Length: 5\r\n\r\nhello"},
	{name: "names in odd cases", raw: ok + "x-lOWER: 1\r\nX--dASH-: 2\r\n!odd~: 3\r\n9-nine: 4\r\ncontent-length: 5\r\n\r\nhello", stays: true},
	{name: "repeated field", raw: ok + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nset-cookie: c=3\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "sixteen fields", raw: ok + "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: 9\r\nJ: 10\r\nK: 11\r\nL: 12\r\nM: 13\r\nN: 14\r\nO: 15\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "pragma no-cache", raw: ok + "Pragma: no-cache\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "gzip content is passed on", raw: ok + "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "head longer than the read buffer", raw: ok + "X-A: " + strings.Repeat("a", 9000) + "\r\nContent-Length: 5\r\n\r\nhello", stays: true},
	{name: "body longer than the read buffer", raw: ok + "Content-Length: 20000\r\n\r\n" + strings.Repeat("b", 20000), stays: true},
	{name: "chunk longer than the read buffer", raw: ok + "Transfer-Encoding: chunked\r\n\r\n4e20\r\n" + strings.Repeat("b", 20000) + "\r\n0\r\n\r\n", stays: true},
	{
		name: "head of two megabytes", raw: ok + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 2100) + "Content-Length: 5\r\n\r\nhello",
		stricter: "a head may have 1 MiB by default, not 10 MiB",
	},
}

// outcome is what a caller can see of a response.
type outcome struct {
	Failed, BodyFailed, Close, Uncompressed bool
	Status, Proto, Body                     string
	StatusCode, Major, Minor                int
	ContentLength                           int64
	Header, Trailer                         http.Header
	TransferEncoding                        []string
	Codes                                   []int // informational
	Informational                           []http.Header
	Reused                                  bool // a second request used the same connection
}

func TestResponsesAreReadAsByNetHTTP(t *testing.T) {
	for _, c := range rawCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			std := &http.Transport{DisableCompression: true}
			t.Cleanup(std.CloseIdleConnections)
			got, gotErr := observe(t, c, newTransport(t))
			want, wantErr := observe(t, c, std)
			if c.stricter != "" {
				if !got.Failed || want.Failed {
					t.Fatalf("failed: got %v, net/http %v; want true and false: %s", got.Failed, want.Failed, c.stricter)
				}
				return
			}
			if c.surplus {
				if got.Reused {
					t.Error("a connection with surplus bytes was reused")
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\ngot  %+v (%v)\nwant %+v (%v)", got, gotErr, want, wantErr)
			}
		})
	}
}

// observe sends two requests to a server that answers the first one with the case's
// bytes, and describes the first response.
func observe(t *testing.T, c rawCase, rt http.RoundTripper) (o outcome, cause error) {
	t.Helper()
	second := make(chan int, 1) // the connection that served it
	s := newRawServer(t, func(n int, conn net.Conn, br *bufio.Reader) {
		for i := 0; ; i++ {
			req, _, alive := readRequest(br)
			if !alive {
				return
			}
			if req.URL.Path == "/second" {
				second <- n
				io.WriteString(conn, ok+"Connection: close\r\nContent-Length: 0\r\n\r\n")
				return
			}
			io.WriteString(conn, c.raw)
			if !c.stays {
				return
			}
		}
	})
	req := newRequest(t, c.method, s.addr, nil)
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			o.Codes, o.Informational = append(o.Codes, code), append(o.Informational, http.Header(h))
			return nil
		},
	})
	resp, err := rt.RoundTrip(req.WithContext(ctx))
	if err != nil {
		o.Failed, cause = true, err
	} else {
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		o.BodyFailed, cause, o.Body = err != nil, err, string(b)
		o.describe(resp)
	}
	if _, own := rt.(*Transport); c.surplus && !own {
		return o, cause // net/http may take the surplus for the next response
	}
	next := newRequest(t, "GET", s.addr, nil)
	next.URL.Path = "/second"
	resp, err = rt.RoundTrip(next.WithContext(context.WithoutCancel(next.Context())))
	if err != nil {
		t.Fatalf("second request: %v", err)
	}
	resp.Body.Close()
	o.Reused = <-second == 1
	return o, cause
}

func (o *outcome) describe(resp *http.Response) {
	o.Close, o.Uncompressed = resp.Close, resp.Uncompressed
	o.Status, o.StatusCode = resp.Status, resp.StatusCode
	o.Proto, o.Major, o.Minor = resp.Proto, resp.ProtoMajor, resp.ProtoMinor
	o.ContentLength, o.TransferEncoding = resp.ContentLength, resp.TransferEncoding
	o.Header, o.Trailer = resp.Header, resp.Trailer
}
