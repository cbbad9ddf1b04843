package caddytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// waysIn are the configurations that bring a request to a function: the
// handler, and reverse_proxy with this module's source and transport. Each is
// given the function's address and more words about the function.
var waysIn = map[string]string{
	"handler": "kubefaas f",
	"reverse_proxy": `reverse_proxy {
		dynamic kubefaas f
		transport kubefaas
	}`,
}

// proxyFor starts a Caddy in front of one function; words are what the
// function's block has beside its name.
func proxyFor(t *testing.T, addr, way, words string) *Caddy {
	t.Helper()
	return Start(t, Caddyfile(`
{
	servers {
		protocols h1 h2c
	}
	kubefaas {
		executor static {
			f `+addr+`
		}
		function f {
			`+words+`
		}
	}
}
http://:{{.HTTP}} {
	`+way+`
}`))
}

func onEachWayIn(t *testing.T, test func(t *testing.T, way string)) {
	t.Helper()
	for name, way := range waysIn {
		t.Run(name, func(t *testing.T) { test(t, way) })
	}
}

func TestEventsArriveAsTheyAreSent(t *testing.T) {
	next := make(chan struct{})
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for n := 0; ; n++ {
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
		}
	})))
	onEachWayIn(t, func(t *testing.T, way string) {
		c := proxyFor(t, f.Addr(), way, "timeout 1s")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		// The head comes before the first event does.
		resp, err := c.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		for n := range 3 {
			if n == 2 {
				time.Sleep(1100 * time.Millisecond) // the function's timeout is for the head
			}
			next <- struct{}{}
			line, err := lines.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", n); line != want || err != nil {
				t.Fatalf("got %q, %v; want %q", line, err, want)
			}
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAStreamThatIsSilentForTooLongEnds(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})))
	for name, words := range map[string]string{
		"idle":     "stream_idle_timeout 300ms",
		"duration": "stream_max_duration 300ms",
	} {
		for _, protocol := range []string{"http", "h2c"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				f := f
				if protocol == "h2c" {
					f = NewFunction(t, H2C(), WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						_, _ = io.WriteString(w, "first")
						w.(http.Flusher).Flush()
						<-r.Context().Done()
					})))
				}
				c := proxyFor(t, f.Addr(), "kubefaas {\n trigger /* f {\n "+words+"\n }\n }", "protocol "+protocol)
				resp, err := c.Client().Get(c.URL("/"))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if string(body) != "first" || err == nil {
					t.Errorf("got %q, %v; want the first bytes and then an error", body, err)
				}
			})
		}
	}
}

func TestTrailersOfBothDirectionsArrive(t *testing.T) {
	for _, protocol := range []string{"http", "h2c"} {
		opts := []FunctionOption{WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Announced")
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
			w.(http.Flusher).Flush()
			w.Header().Set("X-Announced", r.Trailer.Get("X-Sum"))
			w.Header().Set(http.TrailerPrefix+"X-Late", "late")
		}))}
		if protocol == "h2c" {
			opts = append(opts, H2C())
		}
		f := NewFunction(t, opts...)
		t.Run(protocol, func(t *testing.T) {
			onEachWayIn(t, func(t *testing.T, way string) {
				c := proxyFor(t, f.Addr(), way, "protocol "+protocol)
				req, err := http.NewRequest(http.MethodPost, c.URL("/"), io.NopCloser(strings.NewReader("hello")))
				if err != nil {
					t.Fatal(err)
				}
				req.ContentLength = -1
				req.Trailer = http.Header{"X-Sum": {"42"}}
				resp, err := c.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "hello" {
					t.Fatalf("the body is %q, %v; want hello", body, err)
				}
				if got := resp.Trailer.Get("X-Announced"); got != "42" {
					t.Errorf("X-Announced = %q, want 42, the request's trailer", got)
				}
				if got := resp.Trailer.Get("X-Late"); got != "late" {
					t.Errorf("X-Late = %q, want late", got)
				}
			})
		})
	}
}

// reverse_proxy reads the body before it answers, as every handler of Caddy's
// own does: with it a client that gets no 100 Continue sends its body anyway,
// after a second or so. So only the handler is asked for the refusal.
func TestAClientThatExpects100ContinueSendsItsBodyOnlyIfTheFunctionWantsIt(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})))
	onEachWayIn(t, func(t *testing.T, way string) {
		c := proxyFor(t, f.Addr(), way, "")
		type answer struct {
			status    string
			continued bool
		}
		answers := map[string]answer{"/take": {"200 OK", true}}
		if way == waysIn["handler"] {
			answers["/refuse"] = answer{"417 Expectation Failed", false}
		}
		for path, want := range answers {
			conn, err := net.Dial("tcp", c.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n", path)
			r := textproto.NewReader(bufio.NewReader(conn))
			line, err := r.ReadLine()
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			continued := line == "HTTP/1.1 100 Continue"
			if continued {
				if _, err := r.ReadMIMEHeader(); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				_, _ = io.WriteString(conn, strings.Repeat("x", 100_000))
				if line, err = r.ReadLine(); err != nil {
					t.Fatalf("%s: %v", path, err)
				}
			}
			if line != "HTTP/1.1 "+want.status || continued != want.continued {
				t.Errorf("%s: answered %q, continued %v; want %s, %v", path, line, continued, want.status, want.continued)
			}
		}
	})
}

func TestEarlyHintsAreRelayed(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "body")
	})))
	onEachWayIn(t, func(t *testing.T, way string) {
		c := proxyFor(t, f.Addr(), way, "")
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, header.Get("Link")))
				return nil
			},
		})
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if len(hints) != 1 || hints[0] != "103</style.css>; rel=preload" {
			t.Errorf("the hints are %q, want the function's", hints)
		}
		if got := resp.Header.Get("Link"); got != "" {
			t.Errorf("the final response has the hint's Link %q", got)
		}
	})
}

func TestAWebSocketLibraryTalksThroughTheRouter(t *testing.T) {
	f := NewFunction(t, WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 21)
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if string(message) == "bye" {
				_ = conn.Close(4000, "said bye")
				return
			}
			if err := conn.Write(r.Context(), kind, message); err != nil {
				return
			}
		}
	})))
	onEachWayIn(t, func(t *testing.T, way string) {
		c := proxyFor(t, f.Addr(), way, "timeout 1s")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.URL("/"), "http"), &websocket.DialOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if resp.Header.Get("Sec-Websocket-Protocol") != "echo" {
			t.Errorf("the subprotocol is %q, want echo", resp.Header.Get("Sec-Websocket-Protocol"))
		}
		conn.SetReadLimit(1 << 21)
		for _, message := range []string{"hello", strings.Repeat("x", 1<<20), ""} {
			if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := conn.Read(ctx); err != nil || string(got) != message {
				t.Fatalf("got %d bytes, %v; want the %d bytes that were sent", len(got), err, len(message))
			}
		}
		if err := conn.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := conn.Read(ctx); websocket.CloseStatus(err) != 4000 {
			t.Errorf("the socket ended with %v, want the function's own close 4000", err)
		}
	})
}

func TestARefusedUpgradeIsTheFunctionsAnswer(t *testing.T) {
	f := NewFunction(t, WithHandler(Status(http.StatusUpgradeRequired)))
	onEachWayIn(t, func(t *testing.T, way string) {
		c := proxyFor(t, f.Addr(), way, "")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.URL("/"), "http"), nil)
		if err == nil || resp == nil || resp.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("answered %v, %v; want the function's 426", resp, err)
		}
	})
}

func TestHTTP2ClientsReachH2CFunctions(t *testing.T) {
	f := NewFunction(t, H2C(), WithHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Proto", r.Proto)
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		// An echo, so that both directions flow at once.
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				return
			}
		}
	})))
	c := proxyFor(t, f.Addr(), waysIn["handler"], "protocol h2c")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	body, send := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL("/"), body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.Header.Get("X-Proto") != "HTTP/2.0" {
		t.Errorf("client speaks %s, function is spoken to in %s; want HTTP/2 twice", resp.Proto, resp.Header.Get("X-Proto"))
	}
	for _, part := range []string{"one", "two"} {
		if _, err := io.WriteString(send, part); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(part))
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != part {
			t.Fatalf("got %q, %v; want %q before more is sent", got, err, part)
		}
	}
	_ = send.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("after the end came %q, %v", rest, err)
	}
}

func TestAResponseThatBreaksOffReachesTheClientAsBroken(t *testing.T) {
	f := NewFunction(t, WithHandler(Abort(1000)))
	onEachWayIn(t, func(t *testing.T, way string) {
		c := proxyFor(t, f.Addr(), way, "")
		resp, err := c.Client().Get(c.URL("/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("the client read %d bytes and a proper end, want an error", len(body))
		}
	})
}
