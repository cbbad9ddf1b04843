package h1

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkRoundTrip compares with net/http's Transport against the same server, which
// is part of the process and costs the same under both.
func BenchmarkRoundTrip(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	small, large := bytes.Repeat([]byte("x"), 100), bytes.Repeat([]byte("x"), 64<<10)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/large":
			w.Header().Set("Content-Length", fmt.Sprint(len(large)))
			_, _ = w.Write(large)
		case "/chunked":
			_, _ = w.Write(small)
			w.(http.Flusher).Flush()
		default:
			_, _ = w.Write(small)
		}
	})}
	go srv.Serve(ln)
	b.Cleanup(func() { srv.Close() })

	std := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}
	own := &Transport{}
	b.Cleanup(func() { std.CloseIdleConnections(); own.CloseIdleConnections() })
	for _, kind := range []struct {
		name, path string
		body       []byte
	}{
		{"small GET", "/", nil},
		{"chunked GET", "/chunked", nil},
		{"64 KiB GET", "/large", nil},
		{"1 KiB POST", "/", large[:1<<10]},
		{"64 KiB POST", "/", large},
	} {
		for _, rt := range []struct {
			name string
			http.RoundTripper
		}{{"nethttp", std}, {"h1", own}} {
			b.Run(kind.name+"/"+rt.name, func(b *testing.B) {
				b.ReportAllocs()
				defer reportCPU(b)()
				b.SetParallelism(32) // 64 connections on two cores
				b.RunParallel(func(pb *testing.PB) {
					buf := make([]byte, 32<<10)
					body := bytes.NewReader(kind.body)
					req, _ := http.NewRequest("GET", "http://"+ln.Addr().String()+kind.path, nil)
					req.Header.Set("User-Agent", "bench")
					req.Header.Set("X-Forwarded-For", "127.0.0.1")
					if kind.body != nil {
						req.Method, req.ContentLength = "POST", int64(len(kind.body))
						req.Body = io.NopCloser(body)
					}
					ctx := b.Context()
					req = req.WithContext(ctx)
					for pb.Next() {
						body.Reset(kind.body)
						resp, err := rt.RoundTrip(req)
						if err != nil {
							b.Error(err)
							return
						}
						for err == nil {
							_, err = resp.Body.Read(buf)
						}
						resp.Body.Close()
					}
				})
			})
		}
	}
}

// parrot answers every read with the same small response, so that nearly only the
// client is measured.
func parrot(tb testing.TB) (addr string) {
	raw := "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Date: Tue, 24 Nov 2026 06:35:19 GMT\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 100)
	s := newRawServer(tb, func(_ int, c net.Conn, _ *bufio.Reader) {
		buf := make([]byte, 4<<10)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := io.WriteString(c, raw); err != nil {
				return
			}
		}
	})
	return s.addr
}

// fetch makes a round trip as a proxy does.
func fetch(tb testing.TB, rt http.RoundTripper, req *http.Request, buf []byte) {
	resp, err := rt.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	for err == nil {
		_, err = resp.Body.Read(buf)
	}
	resp.Body.Close()
}

func BenchmarkClientAlone(b *testing.B) {
	addr := parrot(b)
	std := &http.Transport{DisableCompression: true}
	b.Cleanup(std.CloseIdleConnections)
	for _, rt := range []struct {
		name string
		http.RoundTripper
	}{{"nethttp", std}, {"h1", newTransport(b)}} {
		b.Run(rt.name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			buf := make([]byte, 32<<10)
			req := newRequest(b, "GET", addr, nil).WithContext(b.Context())
			req.Header.Set("User-Agent", "bench")
			for b.Loop() {
				fetch(b, rt, req, buf)
			}
		})
	}
}

func TestSmallRequestAllocatesLittle(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req := newRequest(t, "GET", parrot(t), nil).WithContext(ctx)
	tr, buf := newTransport(t), make([]byte, 1<<10)
	// Five as measured; the race detector makes pools forget.
	if got := testing.AllocsPerRun(200, func() { fetch(t, tr, req, buf) }); got > 15 {
		t.Errorf("got %v allocations a round trip, want at most 15", got)
	}
}
