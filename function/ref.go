// Package function holds what a function is called and what is known of it
// before anybody asks where it runs. It imports nothing of this module.
package function

import (
	"errors"
	"fmt"
	"strings"
)

// DefaultNamespace is the namespace of a reference that names none.
const DefaultNamespace = "default"

// maxNameLen bounds one name, in bytes: what a DNS subdomain may have.
const maxNameLen = 253

// ErrNoName is returned by ParseRef, wrapped, for a reference without a name.
var ErrNoName = errors.New("the function has no name")

// Ref names a function.
type Ref struct {
	Namespace string
	Name      string
}

// String is the reference as ParseRef reads it: "namespace/name".
func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// ParseRef reads "[<namespace>/]<name>". A name is made of letters, digits,
// '-', '_' and '.', and is at most 253 bytes long. Without a namespace it is
// DefaultNamespace.
func ParseRef(s string) (Ref, error) {
	namespace, name, found := strings.Cut(s, "/")
	if !found {
		namespace, name = DefaultNamespace, s
	}
	r := Ref{Namespace: namespace, Name: name}
	if err := r.Validate(); err != nil {
		return Ref{}, fmt.Errorf("function reference %q: %w", s, err)
	}
	return r, nil
}

// Validate says what is wrong with a reference.
func (r Ref) Validate() error {
	if r.Name == "" {
		return ErrNoName
	}
	if r.Namespace == "" {
		return errors.New("the namespace is empty")
	}
	for _, s := range [...]string{r.Namespace, r.Name} {
		if s == "." || s == ".." {
			return fmt.Errorf("%q is no name", s)
		}
		if len(s) > maxNameLen {
			return fmt.Errorf("%.20q… is longer than %d bytes", s, maxNameLen)
		}
		if i := strings.IndexFunc(s, illegal); i >= 0 {
			return fmt.Errorf("%q may not be in a name (letters, digits, '-', '_' and '.' may)", s[i:i+1])
		}
	}
	return nil
}

func illegal(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		return false
	}
	return true
}
