package caddytest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// DoHeader names the request header that tells a function what to do instead of
// echoing. Its value is a word with parameters, as in "sse?n=3&every=10ms":
//
//	sse?n=&every=          server-sent events            [SSE]
//	slow?n=&every=         a body in slow pieces         [SlowBody]
//	chunked?n=&size=       a body of unknown length      [Chunked]
//	trailers               a trailer after the body      [Trailers]
//	websocket              an upgrade and an echo        [WebSocketEcho]
//	upload?refuse=         100-continue or a refusal     [Upload]
//	status?code=           an empty answer               [Status]
//	abort?after=           a connection cut short        [Abort]
const DoHeader = "X-Test-Do"

// readyWord is a [DoHeader] value that is answered at once and not counted.
const readyWord = "ready"

// behaviour is the code of a function: it counts, waits, and then does what the
// request or the test asked for.
type behaviour struct {
	id      string
	rec     *recorder
	delay   atomic.Int64 // time.Duration
	handler http.Handler // nil: echo, or DoHeader
}

func newBehaviour(s functionSettings, rec *recorder) *behaviour {
	b := &behaviour{id: s.ID, rec: rec, handler: s.handler}
	b.delay.Store(int64(s.Delay))
	return b
}

// ServeHTTP implements http.Handler.
func (b *behaviour) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(DoHeader) == readyWord {
		return
	}
	defer b.rec.begin(r)()
	w.Header().Set("X-Test-Function", b.id)
	if d := time.Duration(b.delay.Load()); d > 0 && !pause(r, d) {
		return
	}
	switch do := r.Header.Get(DoHeader); {
	case b.handler != nil:
		b.handler.ServeHTTP(w, r)
	case do != "":
		doAsTold(do, w, r)
	default:
		b.echo(w, r)
	}
}

// Echo is what a function saw of a request, and what it answers by default.
type Echo struct {
	Function      string      `json:"function"` // the function's ID
	Method        string      `json:"method"`
	URI           string      `json:"uri"` // the request target as received
	Proto         string      `json:"proto"`
	Host          string      `json:"host"`
	Remote        string      `json:"remote"`
	Header        http.Header `json:"header"`
	Trailer       http.Header `json:"trailer,omitempty"`
	ContentLength int64       `json:"content_length"` // as announced; -1 if it was not
	BodyLength    int64       `json:"body_length"`    // as received
	BodySHA256    string      `json:"body_sha256"`    // in hex
}

func (b *behaviour) echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, fmt.Sprintf("reading the body: %v", err), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Echo{
		Function: b.id, Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Host: r.Host, Remote: r.RemoteAddr,
		Header: r.Header, Trailer: r.Trailer,
		ContentLength: r.ContentLength, BodyLength: n, BodySHA256: hex.EncodeToString(sum.Sum(nil)),
	})
}

// ReadEcho reads and closes the body of an answer 200 of an echoing function;
// anything else fails the test.
func ReadEcho(t testing.TB, resp *http.Response) Echo {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the echo: %v", err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("got status %d, want 200 and an echo; body: %s", resp.StatusCode, body)
	}
	var e Echo
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("got a body that is no echo: %v: %s", err, body)
	}
	return e
}

// doAsTold answers as a [DoHeader] value says. A value that makes no sense is
// answered 400, so that the test sees its mistake.
func doAsTold(do string, w http.ResponseWriter, r *http.Request) {
	u, err := url.Parse(do)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := params{u.Query()}
	switch u.Path {
	case "sse":
		SSE(p.number("n", 3), p.duration("every", 0)).ServeHTTP(w, r)
	case "slow":
		SlowBody(p.number("n", 3), p.duration("every", 10*time.Millisecond)).ServeHTTP(w, r)
	case "chunked":
		Chunked(p.number("n", 3), p.number("size", 1024)).ServeHTTP(w, r)
	case "trailers":
		Trailers().ServeHTTP(w, r)
	case "websocket":
		WebSocketEcho().ServeHTTP(w, r)
	case "upload":
		Upload(p.number("refuse", 0)).ServeHTTP(w, r)
	case "status":
		Status(p.number("code", http.StatusOK)).ServeHTTP(w, r)
	case "abort":
		Abort(p.number("after", 0)).ServeHTTP(w, r)
	default:
		http.Error(w, fmt.Sprintf("unknown %s %q", DoHeader, do), http.StatusBadRequest)
	}
}

// params reads the parameters of a [DoHeader] value.
type params struct{ url.Values }

func (p params) number(name string, def int) int {
	if n, err := strconv.Atoi(p.Get(name)); err == nil {
		return n
	}
	return def
}

func (p params) duration(name string, def time.Duration) time.Duration {
	if d, err := time.ParseDuration(p.Get(name)); err == nil {
		return d
	}
	return def
}

// pause waits for d; false if the client left before.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
