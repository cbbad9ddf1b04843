package executor_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestStaticGivesWhatItWasGiven(t *testing.T) {
	s, err := executor.NewStatic(map[function.Ref][]string{hello.Ref: {"10.0.0.7:8888", "Hello.Default"}})
	if err != nil {
		t.Fatalf("NewStatic: %v", err)
	}
	want := []string{"10.0.0.7:8888", "hello.default:80"}
	for range 2 {
		got, err := s.Addresses(t.Context(), hello)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %v, %v; want %v", got, err, want)
		}
		got[0] = "the caller's to change"
	}
	_, err = s.Addresses(t.Context(), full)
	if e := asError(t, err); !e.NotFound() || e.Temporary() {
		t.Errorf("an unknown function: got %v, want not found", err)
	}
}

func TestNewStaticRefusesWhatCannotBe(t *testing.T) {
	for name, in := range map[string]map[function.Ref][]string{
		"no address":        {hello.Ref: nil},
		"no namespace":      {{Name: "hello"}: {"10.0.0.7"}},
		"no name":           {{Namespace: "default"}: {"10.0.0.7"}},
		"one is no address": {hello.Ref: {"10.0.0.7:8888", "http://10.0.0.7"}},
	} {
		if _, err := executor.NewStatic(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_, err := executor.NewStatic(map[function.Ref][]string{hello.Ref: {"x:0"}})
	if !errors.Is(err, executor.ErrBadAddress) {
		t.Errorf("port 0: got %v, want ErrBadAddress", err)
	}
}
