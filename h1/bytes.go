package h1

import "strings"

// What a byte may be part of. RFC 9110, sections 5.5 and 5.6.2.
const (
	inToken  = 1 << iota // field name or method
	inValue              // field value
	inHost               // Host, in net/http's lenient sense
	inTarget             // request target
)

var class = classes()

func classes() (t [256]byte) {
	for i := range t {
		c := byte(i)
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if alnum || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			t[i] |= inToken
		}
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[i] |= inValue
		}
		if alnum || c != 0 && strings.IndexByte("!$%&()*+,-.:;='[]_~", c) >= 0 {
			t[i] |= inHost
		}
		if c > ' ' && c != 0x7f {
			t[i] |= inTarget
		}
	}
	return t
}

// consistsOf reports whether every byte of s belongs to a class.
func consistsOf(s string, of byte) bool {
	for i := range len(s) {
		if class[s[i]]&of == 0 {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// trimSpace cuts blanks, tabs, CR and LF from both ends, as net/http does before it
// writes a value.
func trimSpace(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// hasToken reports whether a comma-separated list names a token, whatever its case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.Trim(part, " \t"); len(part) == len(token) && strings.EqualFold(part, token) && isASCII(part) {
				return true
			}
		}
	}
	return false
}
