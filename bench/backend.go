package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// What the backend answers.
const (
	smallSize  = 100      // bytes of an ordinary response
	largeSize  = 64 << 10 // bytes of a large response, and of an upload
	eventCount = 20       // events of a stream
	eventEvery = 5 * time.Millisecond
	eventSize  = 100 // bytes of an event
)

// backendAddrs are where a backend listens; each is a function of its own.
type backendAddrs struct {
	Small   string   `json:"small"`   // answers smallSize bytes
	Other   string   `json:"other"`   // the same
	Large   string   `json:"large"`   // answers largeSize bytes
	Discard string   `json:"discard"` // reads the body and answers its size
	Events  string   `json:"events"`  // streams events
	Cold    []string `json:"cold"`    // answer smallSize bytes
}

// backend is a backend process.
type backend struct {
	*child
	backendAddrs
}

// startBackend starts the functions in a process, of which cold are only for
// cold starts.
func startBackend(dir string, cold int) (*backend, error) {
	cmd, err := reexec(roleBackend, dir, strconv.Itoa(cold))
	if err != nil {
		return nil, err
	}
	// A pipe of our own, since Wait would close cmd's before all is read.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	b := new(backend)
	b.child, err = startChild(cmd)
	w.Close()
	if err != nil {
		return nil, err
	}
	if err := json.NewDecoder(bufio.NewReader(r)).Decode(&b.backendAddrs); err != nil {
		b.stop()
		return nil, fmt.Errorf("the backend did not start: %w\n%s", err, b.said)
	}
	return b, nil
}

// serveBackend is the backend's process: it listens, says where, and serves
// until something fails.
func serveBackend(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("got arguments %q, want how many functions are for cold starts", args)
	}
	cold, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	addrs := backendAddrs{Cold: make([]string, cold)}
	at := map[*string]http.HandlerFunc{
		&addrs.Small: small, &addrs.Other: small, &addrs.Large: large, &addrs.Discard: discard, &addrs.Events: events,
	}
	for i := range addrs.Cold {
		at[&addrs.Cold[i]] = small
	}
	for addr, handler := range at {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*addr = l.Addr().String()
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		go func() {
			err := server.Serve(l)
			select {
			case failed <- err:
			default:
			}
		}()
	}
	if err := json.NewEncoder(stdout).Encode(addrs); err != nil {
		return err
	}
	return <-failed
}

// body is what the functions answer, cut to size.
var body = []byte(strings.Repeat("0123456789abcdef", largeSize/16))

func small(w http.ResponseWriter, _ *http.Request) { answer(w, body[:smallSize]) }

func large(w http.ResponseWriter, _ *http.Request) { answer(w, body) }

func discard(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, strconv.AppendInt(nil, n, 10))
}

func answer(w http.ResponseWriter, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
}

// events streams events that say when they were sent. They are so far apart
// that a proxy has passed one on before the next comes: the number of writes
// is then the same for every proxy, however fast it is.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	for range eventCount {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		if _, err := w.Write(event(time.Now())); err != nil {
			return
		}
		if err := flusher.Flush(); err != nil {
			return
		}
	}
}

// eventPrefix begins the line of an event. The time in nanoseconds follows,
// and padding after a space.
const eventPrefix = "data: "

func event(now time.Time) []byte {
	text := strconv.AppendInt([]byte(eventPrefix), now.UnixNano(), 10)
	text = append(text, ' ')
	text = append(text, body[:eventSize-len(text)-2]...)
	return append(text, "\n\n"...)
}
