package caddytest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestFunctionDoesAsTold(t *testing.T) {
	f := NewFunction(t)
	for do, want := range map[string]struct {
		status int
		body   string
	}{
		"sse?n=2&every=1ms":     {200, "data: 0\n\ndata: 1\n\n"},
		"slow?n=3&every=1ms":    {200, "0\n1\n2\n"},
		"chunked?n=2&size=3":    {200, "xxxxxx"},
		"trailers":              {200, "the trailers follow\n"},
		"upload":                {200, "4"},
		"upload?refuse=417":     {417, ""},
		"status?code=503":       {503, ""},
		"websocket":             {426, "this function wants an upgrade\n"},
		"no such thing":         {400, `unknown X-Test-Do "no such thing"` + "\n"},
		"%zz is not even a URL": {400, `parse "%zz is not even a URL": invalid URL escape "%zz"` + "\n"},
	} {
		resp := mustAsk(t, f.URL("/"), strings.NewReader("body"), DoHeader, do)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != want.status || string(body) != want.body {
			t.Errorf("%s: got %d %q %v, want %d %q", do, resp.StatusCode, body, err, want.status, want.body)
		}
	}
}

func TestFunctionSendsTrailers(t *testing.T) {
	f := NewFunction(t)
	resp := mustAsk(t, f.URL("/"), strings.NewReader("body"), DoHeader, "trailers")
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.Trailer.Get("X-Test-Sum") != "4" || resp.Trailer.Get("X-Test-Late") != "yes" {
		t.Errorf("got trailers %v, want X-Test-Sum 4 and X-Test-Late yes", resp.Trailer)
	}
}

func TestFunctionAborts(t *testing.T) {
	f := NewFunction(t)
	if resp, err := ask(t.Context(), f.URL("/"), strings.NewReader("body"), DoHeader, "abort"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("got status %d, want no answer", resp.StatusCode)
	}
	resp := mustAsk(t, f.URL("/"), nil, DoHeader, "abort?after=10")
	if body, err := io.ReadAll(resp.Body); err == nil || len(body) != 10 {
		t.Errorf("got %d bytes and %v, want 10 and an error", len(body), err)
	}
}

func TestFunctionSpeaksWebSocket(t *testing.T) {
	f := NewFunction(t)
	conn, _, err := websocket.Dial(t.Context(), f.URL("/"), &websocket.DialOptions{
		HTTPHeader: http.Header{DoHeader: {"websocket"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	for _, size := range []int{0, 1, 125, 126, 20_000, 70_000} {
		sent := bytes.Repeat([]byte{0xa5}, size)
		if err := conn.Write(t.Context(), websocket.MessageBinary, sent); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		_, got, err := conn.Read(t.Context())
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes: got %d bytes and %v, want the same back", size, len(got), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestFunctionSpeaksH2C(t *testing.T) {
	f := NewFunction(t, H2C())
	client := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	client.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	resp, err := client.Get(f.URL("/"))
	if err != nil {
		t.Fatal(err)
	}
	if got := ReadEcho(t, resp).Proto; got != "HTTP/2.0" {
		t.Errorf("got protocol %s, want HTTP/2.0", got)
	}
	if got := ReadEcho(t, mustAsk(t, f.URL("/"), nil)).Proto; got != "HTTP/1.1" {
		t.Errorf("got protocol %s from an HTTP/1.1 client, want HTTP/1.1", got)
	}
}
