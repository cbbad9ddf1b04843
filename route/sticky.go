package route

import (
	"errors"
	"fmt"
)

// Sources of a sticky key.
const (
	StickyCookie   = "cookie"
	StickyHeader   = "header"
	StickyQuery    = "query"
	StickyClientIP = "client_ip"
)

// Sticky says where the key is found that keeps a client with one function. The
// zero value is no stickiness.
type Sticky struct {
	// Source is one of the Sticky constants, or empty.
	Source string
	// Name is the cookie's, header's or query parameter's name.
	Name string
}

// check says what is wrong with the sticky source.
func (s Sticky) check() error {
	switch s.Source {
	case "", StickyClientIP:
		if s.Name != "" {
			return fmt.Errorf("sticky %s takes no name, not %q", s.Source, s.Name)
		}
	case StickyCookie, StickyHeader:
		if !isToken(s.Name) {
			return fmt.Errorf("sticky %s: %q is not the name of a %s", s.Source, s.Name, s.Source)
		}
	case StickyQuery:
		if s.Name == "" {
			return errors.New("sticky query has no name")
		}
	default:
		return fmt.Errorf("sticky %q: it is cookie, header, query or client_ip", s.Source)
	}
	return nil
}
