package kubefaas

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// FunctionRef names a function. In JSON it is an object, or text such as
// "prod/hello".
type FunctionRef struct {
	// The function's namespace. Default: `default`.
	Namespace string `json:"namespace,omitempty"`

	// The function's name.
	Name string `json:"name"`
}

// UnmarshalJSON reads an object or "[<namespace>/]<name>".
func (r *FunctionRef) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*r = splitRef(s)
		return nil
	}
	type object FunctionRef
	return caddy.StrictUnmarshalJSON(b, (*object)(r))
}

// splitRef reads "[<namespace>/]<name>" without judging it: either part may
// hold placeholders, in which a slash does not count.
func splitRef(s string) FunctionRef {
	depth := 0
	for i, c := range s {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == '/' && depth == 0:
			return FunctionRef{Namespace: s[:i], Name: s[i+1:]}
		}
	}
	return FunctionRef{Name: s}
}

// hasPlaceholder says whether the reference depends on the request.
func (r FunctionRef) hasPlaceholder() bool {
	return strings.Contains(r.Namespace, "{") || strings.Contains(r.Name, "{")
}
