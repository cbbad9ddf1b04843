package executor

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Static is an executor whose functions' addresses never change.
type Static struct {
	addresses map[function.Ref][]string
}

var _ Executor = (*Static)(nil)

// NewStatic returns an executor of the given addresses, each "host:port" or
// "host". It is an error if a reference is not valid, a function has no
// address, or an address is not one (ErrBadAddress, wrapped).
func NewStatic(functions map[function.Ref][]string) (*Static, error) {
	s := &Static{addresses: make(map[function.Ref][]string, len(functions))}
	for ref, texts := range functions {
		if err := ref.Validate(); err != nil {
			return nil, fmt.Errorf("static executor: function %q: %w", ref, err)
		}
		if len(texts) == 0 {
			return nil, fmt.Errorf("static executor: function %s has no address", ref)
		}
		for _, text := range texts {
			address, err := ParseAddress(text)
			if err != nil {
				return nil, fmt.Errorf("static executor: function %s: %w", ref, err)
			}
			s.addresses[ref] = append(s.addresses[ref], address)
		}
	}
	return s, nil
}

// Addresses returns fn's addresses, or an *Error with status 404.
func (s *Static) Addresses(_ context.Context, fn *function.Function) ([]string, error) {
	addresses, ok := s.addresses[fn.Ref]
	if !ok {
		return nil, &Error{Call: CallAddress, Status: http.StatusNotFound, Text: "the static executor has no function " + fn.Ref.String()}
	}
	return slices.Clone(addresses), nil
}
