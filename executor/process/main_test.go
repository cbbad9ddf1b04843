//go:build unix

package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// roleVar turns the test binary into one of the programs below.
const roleVar = "PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	program, ok := programs[role]
	if !ok {
		fmt.Fprintln(os.Stderr, "no such role:", role)
		os.Exit(2)
	}
	// Whatever a test does, no program outlives it for long.
	time.AfterFunc(2*time.Minute, func() { os.Exit(9) })
	program()
}

var programs = map[string]func(){
	"serve":      serve,
	"deaf":       func() { signal.Ignore(syscall.SIGTERM); serve() },
	"polite":     polite,
	"exit":       exitAtStart,
	"unlucky":    unlucky,
	"mute":       func() { net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT")); select {} },
	"hang":       func() { select {} },
	"elsewhere":  func() { listenElsewhere(); select {} },
	"family":     family,
	"grandchild": func() { fmt.Println("grandchild on", listenElsewhere()); select {} },
	"runaway":    runaway,
	"holder":     func() { time.Sleep(20 * time.Second) },
	"flood":      flood,
	"long":       long,
	"parent":     parent,
	"guard":      func() { RunGuard(os.Stdin) },
}

// serve is an HTTP server on PORT.
func serve() {
	if d, err := time.ParseDuration(os.Getenv("DELAY")); err == nil {
		time.Sleep(d)
	}
	var healthy atomic.Int32
	var conns atomic.Int32
	var listening time.Time
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	http.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Join(os.Environ(), "\n")) })
	http.HandleFunc("/conns", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, conns.Load()) })
	http.HandleFunc("/listening", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, listening.UnixNano()) })
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { fmt.Println("asked to exit"); os.Exit(7) })
	http.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	http.HandleFunc("/id", func(w http.ResponseWriter, _ *http.Request) {
		groups, _ := os.Getgroups()
		fmt.Fprint(w, os.Getuid(), " ", os.Getgid(), " ", groups)
	})
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if healthy.Add(1) < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	srv := http.Server{ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	listening = time.Now()
	fmt.Println("serving", os.Getenv(envFunction))
	srv.Serve(l)
}

// polite answers SIGTERM with a line and status 0.
func polite() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() {
		<-c
		fmt.Println("bye")
		os.Exit(0)
	}()
	serve()
}

func exitAtStart() {
	lines, _ := strconv.Atoi(os.Getenv("LINES"))
	for n := range lines {
		fmt.Fprintln(os.Stderr, "line", n+1)
	}
	if file := os.Getenv("COUNT"); file != "" {
		f, _ := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		fmt.Fprint(f, "x")
		f.Close()
	}
	os.Exit(3)
}

// unlucky finds its port taken the first time.
func unlucky() {
	if err := os.Mkdir(os.Getenv("MARK"), 0o700); err == nil {
		fmt.Fprintln(os.Stderr, "listen tcp: bind: address already in use")
		os.Exit(1)
	}
	serve()
}

func listenElsewhere() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l.Addr().String()
}

// again is this binary in another role.
func again(role string) *exec.Cmd {
	self, _ := os.Executable()
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// family has a child that listens too, and says where.
func family() {
	cmd := again("grandchild")
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	addr := strings.TrimSpace(strings.TrimPrefix(line, "grandchild on "))
	http.HandleFunc("/grandchild", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, addr) })
	serve()
}

// runaway leaves a child behind that is out of the group and holds the pipes.
func runaway() {
	cmd := again("holder")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	fmt.Println("holder is", cmd.Process.Pid)
	os.Exit(5)
}

// flood writes BYTES of output, then serves.
func flood() {
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	total, _ := strconv.Atoi(os.Getenv("BYTES"))
	for n := 0; n < total; n += len(line) {
		os.Stdout.Write(line)
	}
	serve()
}

func long() {
	fmt.Println(strings.Repeat("y", maxLine+maxLine/2))
	fmt.Println("after")
	serve()
}

// parent runs a function of its own, says where, and waits to be killed.
func parent() {
	ref := function.Ref{Namespace: "default", Name: "orphan"}
	var o Options
	if self, _ := os.Executable(); os.Getenv("GUARDED") != "" {
		o.Guard = []string{"env", roleVar + "=guard", self}
	}
	e, err := NewExecutor(NewRuntime(nil, o), []Spec{program(ref.Name, os.Getenv("CHILD"))})
	if err != nil {
		panic(err)
	}
	addrs, err := e.Addresses(context.Background(), &function.Function{Ref: ref})
	if err != nil {
		panic(errors.Join(err))
	}
	// Threads come and go, which must not look like our death to the child.
	for range 8 {
		go func() { time.Sleep(time.Millisecond) }()
	}
	fmt.Println(addrs[0])
	select {}
}

// program is a spec of this binary in a role.
func program(name, role string, env ...string) Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	s := Spec{
		Ref:     function.Ref{Namespace: "default", Name: name},
		Command: []string{self},
		Env:     []EnvVar{{roleVar, role}},
	}
	for n := 0; n < len(env); n += 2 {
		s.Env = append(s.Env, EnvVar{env[n], env[n+1]})
	}
	return s
}
