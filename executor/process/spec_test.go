package process

import (
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func aSpec() Spec {
	return Spec{
		Ref:     function.Ref{Namespace: "default", Name: "hello"},
		Command: []string{"prog", "arg"}, Dir: "/srv",
		Env: []EnvVar{{"A", "1"}, {"B", "2"}},
	}.WithDefaults()
}

func TestDefaults(t *testing.T) {
	got := Spec{}.WithDefaults()
	if got.Ready != (Ready{Kind: ReadyTCP}) || got.StartTimeout != 30*time.Second || got.IdleTimeout != 2*time.Minute ||
		got.StopTimeout != 10*time.Second || got.Min != 0 || got.Max != 1 {
		t.Errorf("WithDefaults of nothing = %+v; want tcp, 30s, 2m, 10s, 0 to 1", got)
	}
	if got := (Spec{Min: 3, Ready: Ready{Kind: ReadyHTTP}}).WithDefaults(); got.Max != 3 || got.Ready.Path != "/" {
		t.Errorf("WithDefaults of min 3 and http = max %d, path %q; want 3 and /", got.Max, got.Ready.Path)
	}
	if err := aSpec().Validate(); err != nil {
		t.Errorf("Validate = %v; want nil", err)
	}
}

func TestValidateRefusesWhatCannotWork(t *testing.T) {
	for what, tt := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"no name":                 {func(s *Spec) { s.Ref.Name = "" }, "no name"},
		"no command":              {func(s *Spec) { s.Command = nil }, "no command"},
		"a blank program":         {func(s *Spec) { s.Command = []string{" "} }, "no command"},
		"a NUL in an argument":    {func(s *Spec) { s.Command[1] = "a\x00" }, "NUL"},
		"a NUL in dir":            {func(s *Spec) { s.Dir = "/\x00" }, "NUL"},
		"an empty variable":       {func(s *Spec) { s.Env[0].Key = "" }, "no name of a variable"},
		"a variable with an =":    {func(s *Spec) { s.Env[0].Key = "A=B" }, "no name of a variable"},
		"a NUL in a value":        {func(s *Spec) { s.Env[0].Value = "\x00" }, "NUL"},
		"a variable twice":        {func(s *Spec) { s.Env[1].Key = "A" }, "twice"},
		"PORT configured":         {func(s *Spec) { s.Env[0].Key = "PORT" }, "cannot be configured"},
		"KUBEFAAS_FUNCTION too":   {func(s *Spec) { s.Env[0].Key = "KUBEFAAS_FUNCTION" }, "cannot be configured"},
		"an unknown readiness":    {func(s *Spec) { s.Ready.Kind = "udp" }, "neither tcp nor http"},
		"tcp with a path":         {func(s *Spec) { s.Ready.Path = "/" }, "no path"},
		"http with half a path":   {func(s *Spec) { s.Ready = Ready{ReadyHTTP, "health"} }, "is no path"},
		"http with a line break":  {func(s *Spec) { s.Ready = Ready{ReadyHTTP, "/\r\nX: y"} }, "is no path"},
		"a negative time-out":     {func(s *Spec) { s.StopTimeout = -1 }, "stop_timeout"},
		"fewer than no instances": {func(s *Spec) { s.Min = -1 }, "least number"},
		"no instance at most":     {func(s *Spec) { s.Max = -1 }, "greatest number"},
		"more at least than most": {func(s *Spec) { s.Min = 2 }, "more than the greatest"},
	} {
		s := aSpec()
		tt.change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Validate = %v; want an error with %q", what, err, tt.want)
		}
	}
}

func TestRevisionChangesWithWhatNeedsANewProcess(t *testing.T) {
	base := aSpec().Revision()
	for what, tt := range map[string]struct {
		change func(*Spec)
		differ bool
	}{
		"nothing":                      {func(*Spec) {}, false},
		"the order of variables":       {func(s *Spec) { s.Env[0], s.Env[1] = s.Env[1], s.Env[0] }, false},
		"time-outs":                    {func(s *Spec) { s.StartTimeout, s.IdleTimeout, s.StopTimeout = 1, 2, 3 }, false},
		"the number of instances":      {func(s *Spec) { s.Min, s.Max = 2, 5 }, false},
		"the way of asking":            {func(s *Spec) { s.Ready = Ready{ReadyHTTP, "/"} }, false},
		"the program":                  {func(s *Spec) { s.Command[0] = "other" }, true},
		"an argument":                  {func(s *Spec) { s.Command[1] = "other" }, true},
		"where an argument ends":       {func(s *Spec) { s.Command = []string{"prog arg"} }, true},
		"bytes that are not UTF-8":     {func(s *Spec) { s.Command[1] = "\xff" }, true},
		"dir":                          {func(s *Spec) { s.Dir = "/" }, true},
		"a variable's value":           {func(s *Spec) { s.Env[0].Value = "3" }, true},
		"what of a variable is a name": {func(s *Spec) { s.Env[0] = EnvVar{"A1", ""} }, true},
		"user":                         {func(s *Spec) { s.User = "nobody" }, true},
	} {
		s := aSpec()
		tt.change(&s)
		if got := s.Revision(); (got != base) != tt.differ {
			t.Errorf("%s: Revision = %s beside %s; want another: %t", what, got, base, tt.differ)
		}
	}
}

func TestTwoProgramsForOneFunctionAreRefused(t *testing.T) {
	rt := NewRuntime(nil, Options{})
	defer rt.Close(t.Context())
	if _, err := NewExecutor(rt, []Spec{aSpec(), aSpec()}); err == nil {
		t.Error("NewExecutor = nil; want an error")
	}
}
