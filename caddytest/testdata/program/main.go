// Program is the function that the tests of `executor process` run: a small
// one, so that fifty start at once on two cores, and one that does what can
// go wrong with programs. Its first argument says what it is.
//
// It leaves a file named after its process ID in the folder $MARKS, so that a
// test knows whom to look for, and appends the X-Test-ID of every request to
// the file $JOURNAL before it does anything else.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	// Whatever a test does, no program outlives it for long.
	time.AfterFunc(5*time.Minute, func() { os.Exit(9) })
	if marks := os.Getenv("MARKS"); marks != "" {
		_ = os.WriteFile(filepath.Join(marks, strconv.Itoa(os.Getpid())), nil, 0o600)
	}
	role := "serve"
	if len(os.Args) > 1 {
		role = os.Args[1]
	}
	switch role {
	case "serve":
		serve(os.Getenv("PORT"))
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		serve(os.Getenv("PORT"))
	case "family":
		child := exec.Command(os.Args[0], "hang")
		if err := child.Start(); err != nil {
			fatal(err)
		}
		serve(os.Getenv("PORT"))
	case "exit":
		for n := range 25 {
			fmt.Fprintf(os.Stderr, "last words %d\n", n+1)
		}
		os.Exit(3)
	case "elsewhere":
		serve("0")
	case "hang":
		select {}
	default:
		fatal(fmt.Errorf("no such role: %q", role))
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func serve(port string) {
	if d, err := time.ParseDuration(os.Getenv("DELAY")); err == nil {
		time.Sleep(d)
	}
	var asked atomic.Int64
	handle("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	handle("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("VERSION")) })
	handle("/args", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%q", os.Args[1:]) })
	handle("/env", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(os.Environ(), "\n")) })
	handle("/dir", func(w http.ResponseWriter, _ *http.Request) {
		dir, _ := os.Getwd()
		fmt.Fprint(w, dir)
	})
	handle("/id", func(w http.ResponseWriter, _ *http.Request) {
		groups, _ := os.Getgroups()
		fmt.Fprint(w, os.Getuid(), " ", os.Getgid(), " ", groups)
	})
	handle("/slow", func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("for"))
		time.Sleep(d)
		fmt.Fprint(w, os.Getpid())
	})
	handle("/health", func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	handle("/asked", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, asked.Load()) })
	handle("/exit", func(http.ResponseWriter, *http.Request) {
		fmt.Println("asked to exit")
		os.Exit(7)
	})
	handle("/say", func(w http.ResponseWriter, r *http.Request) { fmt.Println(r.FormValue("what")) })
	handle("/flood", flood)
	handle("/stream", stream)
	handle("/upgrade", upgrade)
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		fatal(err)
	}
	fatal(http.Serve(listener, nil))
}

// handle notes a request's ID and then answers.
func handle(path string, answer http.HandlerFunc) {
	var journal io.Writer
	if file := os.Getenv("JOURNAL"); file != "" {
		// In append mode a line in one write outlives a SIGKILL.
		f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			fatal(err)
		}
		journal = f
	}
	http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get("X-Test-ID"); id != "" && journal != nil {
			fmt.Fprintln(journal, id)
		}
		answer(w, r)
	})
}

// flood prints as much as it is asked for, and answers when all is written.
func flood(w http.ResponseWriter, r *http.Request) {
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	block := bytes.Repeat(line, 64)
	total, _ := strconv.Atoi(r.FormValue("bytes"))
	for n := 0; n < total; n += len(block) {
		if _, err := os.Stdout.Write(block); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
}

// stream sends a line every 10 ms until the client leaves.
func stream(w http.ResponseWriter, r *http.Request) {
	flush := http.NewResponseController(w)
	for r.Context().Err() == nil {
		if _, err := fmt.Fprintln(w, os.Getpid()); err != nil || flush.Flush() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// upgrade answers each line with the process's ID.
func upgrade(w http.ResponseWriter, _ *http.Request) {
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		fmt.Fprintln(conn, os.Getpid())
	}
}
