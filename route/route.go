// Package route finds the trigger that a request belongs to: by host, path and
// method, at a cost that does not depend on how many triggers there are. It
// knows neither HTTP nor Caddy.
//
// # Patterns
//
// A path pattern begins with '/' and is read segment by segment:
//
//	/orders          literal text, compared with the request's decoded text
//	/orders/{id}     {id} is one segment that is not empty
//	/o/{id:[0-9]+}   {id} is what the regular expression (Go's syntax, anchored
//	                 at both ends) matches; it may span '/'
//	/v{a}-{b:[a-z]+} text and variables mixed; ranks as a {v:regexp}
//	/api/*           a prefix: /api and everything below, never /apifoo
//
// Braces inside a regular expression must balance; a lone one is written \{ or
// \}. Literal text may be percent-encoded (%2A is a star that is no prefix).
//
// # Precedence
//
// Of the triggers that match, the first in this order wins; the order of
// definition never counts:
//
//  1. an exact host, a wildcard host, no host;
//  2. segment by segment from the left: literal, {v:regexp}, {v}, the end of an
//     exact pattern, the end of a prefix;
//  3. of two regular expressions in one place: one that cannot span '/' before
//     one that can, then the one with more literal text around it, then by the
//     expression's text in byte order;
//  4. of two literals in one place (after a {v:regexp} that spans '/', both may
//     fit): by their text in byte order.
//
// A trigger whose methods do not fit passes the request on to the next one. GET
// serves HEAD; a HEAD trigger of the same pattern goes first.
//
// # Paths
//
// A request's path is matched cleaned: slashes merged, dot segments resolved
// (also with their dots encoded), the slash at the end kept. An encoded slash
// stays inside its segment. A path with both an encoded slash and a dot segment
// matches nothing, since others would read another path there; nor does one
// that does not begin with '/'.
//
// A variable after which others may span '/' takes as much as it can: the last
// such variable gets the least, then the one before it.
package route

import "github.com/kubefaas/caddy-kubefaas/function"

// Trigger is one line of configuration: which requests go to which functions.
// Compile does not modify it.
type Trigger struct {
	// Name is for messages; it may be empty.
	Name string
	// Where is "file:line", for messages; it may be empty.
	Where string
	// Path is an exact pattern or a prefix.
	Path string
	// Methods are the methods served; none is every method. Compile upper-cases
	// them in the table's copy.
	Methods []string
	// Hosts are the hosts served, without a port; none is every host.
	// "*.example.com" is any one label before ".example.com".
	Hosts []string
	// Functions share the requests by weight; at least one.
	Functions []Weighted
	// Sticky says which part of a request keeps it with one function.
	Sticky Sticky
	// Data is the caller's and comes back untouched.
	Data any
}

// Weighted is a function and its share of the requests.
type Weighted struct {
	Ref function.Ref
	// Weight is the share in relation to the others' weights; 0 is none.
	Weight int
}

// Request is what matching needs to know of a request.
type Request struct {
	// Host is the Host header: any case, with or without a port.
	Host string
	// Method is compared as it is: methods are case-sensitive.
	Method string
	// Path is the decoded path (url.URL.Path).
	Path string
	// RawPath is the path as it was sent (url.URL.RawPath), empty if Path's
	// default escaping says the same. It is ignored if it does not decode to
	// Path, as net/url does.
	RawPath string
}

// Outcome is what became of a match.
type Outcome int

// The outcomes: no trigger fits host and path; some do, but none serves the
// method (Match.Allow says which they serve); a trigger was found.
const (
	NoRoute Outcome = iota
	MethodNotAllowed
	Matched
)

// String is the outcome in words, for messages.
func (o Outcome) String() string {
	switch o {
	case Matched:
		return "matched"
	case MethodNotAllowed:
		return "method not allowed"
	}
	return "no route"
}
