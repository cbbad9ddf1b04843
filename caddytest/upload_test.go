package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// uploadTimeout is the function's: shorter than a whole upload of
// TestUploadsTakeTheTimeTheyTake, longer than the pause between its pieces.
const uploadTimeout = 1500 * time.Millisecond

// startUploads starts a Caddy, with these options of its servers, and one function
// behind the directive, and behind reverse_proxy with and without the HTTP
// transport's own options.
func startUploads(t *testing.T, server string) *platform {
	t.Helper()
	p := startSites(t, `{
	kubefaas {
		executor http {{.Executor}}
		function hello {
			timeout `+uploadTimeout.String()+`
		}
	}
	servers {
		protocols h1 h2c
		`+server+`
	}
}
http://:{{.HTTP}} {
	handle /proxy {
		reverse_proxy {
			dynamic kubefaas hello
			transport kubefaas
		}
	}
	handle /proxy-own {
		reverse_proxy {
			dynamic kubefaas hello
			transport kubefaas {
				max_conns_per_host 100
			}
		}
	}
	kubefaas /directive hello
}
`)
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Abort") != "" {
			_, _ = r.Body.Read(make([]byte, 1))
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
			return
		}
		if n, err := io.Copy(io.Discard, r.Body); err == nil {
			fmt.Fprint(w, n)
		}
	})))
	p.ex.Answer("hello", executortest.At(f.Addr()))
	p.once(t, http.MethodGet, "/directive", "", "")
	return p
}

type framing struct{ header, piece, end string }

// framings are the heads of a request with ten bytes of body, and how a piece
// of it is written.
var framings = map[string]framing{
	"of known length": {"Content-Length: 10\r\n", "x", ""},
	"chunked":         {"Transfer-Encoding: chunked\r\n", "1\r\nx\r\n", "0\r\n\r\n"},
}

// uploads begins uploads of both kinds to each of the ways to the function, with
// this header beside, and has check end them. It sends the head and one piece.
func (p *platform) uploads(t *testing.T, header string, check func(t *testing.T, w *wire, f framing)) {
	for _, path := range []string{"/directive", "/proxy", "/proxy-own"} {
		for name, f := range framings {
			t.Run(path+" "+name, func(t *testing.T) {
				t.Parallel()
				w := p.mustDial(t)
				if _, err := io.WriteString(w.conn, "POST "+path+" HTTP/1.1\r\nHost: test\r\n"+header+f.header+"\r\n"+f.piece); err != nil {
					t.Fatal(err)
				}
				check(t, w, f)
			})
		}
	}
}

func TestUploadsTakeTheTimeTheyTake(t *testing.T) {
	startUploads(t, "").uploads(t, "", func(t *testing.T, w *wire, f framing) {
		for range 9 {
			time.Sleep(uploadTimeout / 8)
			if _, err := io.WriteString(w.conn, f.piece); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(uploadTimeout / 8)
		if _, err := io.WriteString(w.conn, f.end); err != nil {
			t.Fatal(err)
		}
		if r, err := w.receive(); err != nil || r.status != http.StatusOK || r.body != "10" {
			t.Errorf("got %d %q, %v; want what the function says of ten bytes", r.status, r.body, err)
		}
	})
}

// Whichever notices first: the function's timeout, or Caddy's for reading.
func TestAClientThatStopsSendingIsToldSo(t *testing.T) {
	for name, server := range map[string]string{
		"function's timeout": "",
		"Caddy's own":        "timeouts {\n\t\t\tread_body_idle 500ms\n\t\t}",
	} {
		t.Run(name, func(t *testing.T) {
			p := startUploads(t, server)
			t.Run("requests", p.stalledUploads)
			if got := p.ex.CallsFor("hello"); got != 1 {
				t.Errorf("got %d calls of the executor, want 1: the address is as good as before", got)
			}
		})
	}
}

func (p *platform) stalledUploads(t *testing.T) {
	p.uploads(t, "", func(t *testing.T, w *wire, _ framing) {
		began := time.Now()
		r, err := w.receive()
		if err != nil {
			t.Fatal(err)
		}
		if r.status != http.StatusRequestTimeout || r.reason() != "request_body" {
			t.Errorf("got %d %q, want 408 request_body; body: %.200s", r.status, r.reason(), r.body)
		}
		if took := r.at.Sub(began); took > 10*uploadTimeout {
			t.Errorf("it took %v; want it when the function's timeout of %v has passed", took, uploadTimeout)
		}
	})
}

// The same while the function starts.
func TestAClientThatStopsSendingToAColdFunctionIsToldSo(t *testing.T) {
	p := startUploads(t, "timeouts {\n\t\t\tread_body_idle 500ms\n\t\t}")
	p.ex.Answer("hello", executortest.Answer{Delay: time.Minute})
	if status, answer := p.Admin(t, http.MethodDelete, "/kubefaas/addresses/default/hello", ""); status != http.StatusNoContent {
		t.Fatalf("forgetting the function: got %d %s", status, answer)
	}
	w := p.mustDial(t)
	if _, err := io.WriteString(w.conn, "POST /directive HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nx"); err != nil {
		t.Fatal(err)
	}
	if r, err := w.receive(); err != nil || r.status != http.StatusRequestTimeout || r.reason() != "request_body" {
		t.Errorf("got %d %q, %v; want 408 request_body", r.status, r.reason(), err)
	}
}

// A function that breaks off while its client does not send is the function's
// fault. Over a transport with options of its own it is told when the time is up.
func TestAFunctionThatBreaksOffUnderAStalledUpload(t *testing.T) {
	startUploads(t, "").uploads(t, "X-Abort: 1\r\n", func(t *testing.T, w *wire, _ framing) {
		if r, err := w.receive(); err != nil || r.status != http.StatusBadGateway || r.reason() != "function_error" {
			t.Errorf("got %d %q, %v; want 502 function_error; body: %.200s", r.status, r.reason(), err, r.body)
		}
	})
}

// What HTTP/2 carries and HTTP/1.1 has no spelling for is the client's fault too.
func TestARequestThatCannotBePassedOnIsRefused(t *testing.T) {
	p := startUploads(t, "")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/directive", "/proxy"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.RawQuery = "a b"
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusBadRequest || resp.Header.Get("X-Kubefaas-Error") != "bad_request" {
			t.Errorf("%s: got %s %q, %v; want 400 bad_request; body: %.300s", path, resp.Status, resp.Header.Get("X-Kubefaas-Error"), err, body)
		}
	}
}
