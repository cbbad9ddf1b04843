// Package process runs functions as programs on this machine: from zero to
// as many as a function may have, and back. It knows nothing of Caddy and
// nothing of the router beyond the three questions in Router.
//
// A Runtime owns the processes and lives as long as the program does. An
// Executor is one configuration's view of it: a process that the next
// configuration describes in the same words is left alone.
package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// How a program is asked whether it is ready.
const (
	// ReadyTCP: it is ready when it accepts a connection.
	ReadyTCP = "tcp"
	// ReadyHTTP: it is ready when GET of a path is answered with 2xx or 3xx.
	ReadyHTTP = "http"
)

// Spec is one function's program.
type Spec struct {
	// Ref names the function.
	Ref function.Ref
	// Command is the program and its arguments; no shell reads them. A
	// program with a slash in its name is relative to Dir, one without is
	// looked up in this process's PATH.
	Command []string
	// Dir is the program's working directory. Default: this process's own.
	Dir string
	// Env is the program's environment beside PATH, HOME, PORT and
	// KUBEFAAS_FUNCTION. It may replace the first two, not the others.
	Env []EnvVar
	// Ready says how the program is asked whether it is ready.
	// Default: ReadyTCP.
	Ready Ready
	// StartTimeout bounds the time from the start to readiness.
	// Default: 30s.
	StartTimeout time.Duration
	// IdleTimeout is how long an instance beyond Min lives without a
	// request. Default: 2m.
	IdleTimeout time.Duration
	// StopTimeout is the time from SIGTERM to SIGKILL. Default: 10s.
	StopTimeout time.Duration
	// Min instances run at all times; Max at most. Default: 0 and 1 (or Min,
	// when that is more).
	Min, Max int
	// User is whom the program runs as, when this process runs as root.
	User string
}

// EnvVar is one variable of a program's environment.
type EnvVar struct{ Key, Value string }

// Ready says how a program is asked whether it is ready.
type Ready struct {
	// Kind is ReadyTCP or ReadyHTTP.
	Kind string
	// Path is what ReadyHTTP asks for. Default: "/".
	Path string
}

// WithDefaults returns the spec with every default filled in.
func (s Spec) WithDefaults() Spec {
	if s.Ready.Kind == "" {
		s.Ready.Kind = ReadyTCP
	}
	if s.Ready.Kind == ReadyHTTP && s.Ready.Path == "" {
		s.Ready.Path = "/"
	}
	if s.StartTimeout == 0 {
		s.StartTimeout = 30 * time.Second
	}
	if s.IdleTimeout == 0 {
		s.IdleTimeout = 2 * time.Minute
	}
	if s.StopTimeout == 0 {
		s.StopTimeout = 10 * time.Second
	}
	if s.Max == 0 {
		s.Max = max(1, s.Min)
	}
	return s
}

// Validate says what is wrong with a spec that has its defaults. Whether the
// program exists is not judged: it may be installed later. Whether the user
// exists is, when this process runs as root.
func (s Spec) Validate() error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("function %s: %w", s.Ref, err)
	}
	return nil
}

func (s Spec) validate() error {
	if err := s.Ref.Validate(); err != nil {
		return err
	}
	if len(s.Command) == 0 || strings.TrimSpace(s.Command[0]) == "" {
		return errors.New("it has no command")
	}
	for _, text := range append([]string{s.Dir}, s.Command...) {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("%q has a NUL byte", text)
		}
	}
	if err := validateEnv(s.Env); err != nil {
		return err
	}
	if err := s.Ready.validate(); err != nil {
		return err
	}
	for name, d := range map[string]time.Duration{
		"start_timeout": s.StartTimeout, "idle_timeout": s.IdleTimeout, "stop_timeout": s.StopTimeout,
	} {
		if d <= 0 {
			return fmt.Errorf("%s is %s; it has to be more than 0", name, d)
		}
	}
	switch {
	case s.Min < 0:
		return fmt.Errorf("the least number of instances is %d", s.Min)
	case s.Max < 1:
		return fmt.Errorf("the greatest number of instances is %d; it has to be 1 at least", s.Max)
	case s.Min > s.Max:
		return fmt.Errorf("the least number of instances, %d, is more than the greatest, %d", s.Min, s.Max)
	}
	return validateUser(s.User)
}

func validateEnv(env []EnvVar) error {
	seen := make(map[string]bool, len(env))
	for _, v := range env {
		switch {
		case v.Key == "" || strings.ContainsAny(v.Key, "=\x00"):
			return fmt.Errorf("env: %q is no name of a variable", v.Key)
		case strings.ContainsRune(v.Value, 0):
			return fmt.Errorf("env %s: the value has a NUL byte", v.Key)
		case v.Key == envPort || v.Key == envFunction:
			return fmt.Errorf("env %s: every program is given this one; it cannot be configured", v.Key)
		case seen[v.Key]:
			return fmt.Errorf("env %s: given twice", v.Key)
		}
		seen[v.Key] = true
	}
	return nil
}

func (r Ready) validate() error {
	switch r.Kind {
	case ReadyTCP:
		if r.Path != "" {
			return errors.New("ready tcp takes no path")
		}
	case ReadyHTTP:
		bad := func(c rune) bool { return c <= ' ' || c == 0x7f }
		if !strings.HasPrefix(r.Path, "/") || strings.ContainsFunc(r.Path, bad) {
			return fmt.Errorf("ready http: %q is no path", r.Path)
		}
	default:
		return fmt.Errorf("ready: %q is neither tcp nor http", r.Kind)
	}
	return nil
}

// Revision is a digest of everything that a running process was started with
// and cannot be told later. Time-outs, the number of instances and the way of
// asking for readiness are not of it: they change under a running process.
func (s Spec) Revision() string {
	env := slices.Clone(s.Env)
	slices.SortStableFunc(env, func(a, b EnvVar) int { return strings.Compare(a.Key, b.Key) })
	h := sha256.New()
	// Quoted, so that no two different specs can be written alike.
	fmt.Fprintf(h, "%q %q %q %q", s.Command, s.Dir, env, s.User)
	return hex.EncodeToString(h.Sum(nil)[:8])
}
