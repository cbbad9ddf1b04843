package route

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// inlineSegments is how many segments a path may have before cutting it
// allocates.
const inlineSegments = 31

// requestPath is a request's path, cleaned and cut into segments.
type requestPath struct {
	// text is the decoded path. It begins with '/'.
	text string
	// raw is the same path as it was escaped, or empty if text's default
	// escaping says the same. The two run in step: a byte of text is a byte or
	// a %XX of raw.
	raw string
	// inline holds where in text each of the first n segments begins, and then
	// where the one after the last would. A longer path has them all in more: a
	// slice of inline would take the whole search to the heap.
	inline [inlineSegments + 1]int32
	more   []int32
	n      int
}

// len is the number of segments: 1 for "/", whose only segment is empty.
func (p *requestPath) len() int { return p.n - 1 }

// start is where in text segment i begins; i may be len.
func (p *requestPath) start(i int) int {
	if p.more != nil {
		return int(p.more[i])
	}
	return int(p.inline[i])
}

// push adds the start of a segment.
func (p *requestPath) push(start int) {
	switch {
	case p.more != nil:
		p.more = append(p.more, int32(start))
	case p.n < len(p.inline):
		p.inline[p.n] = int32(start)
	default:
		p.more = append(slices.Clone(p.inline[:]), int32(start))
	}
	p.n++
}

// segment is the decoded text of segment i.
func (p *requestPath) segment(i int) string { return p.span(i, i+1) }

// span is the decoded text of the segments from i up to j, joined by '/'.
func (p *requestPath) span(i, j int) string { return p.text[p.start(i) : p.start(j)-1] }

// set reads a request's path. It reports false for a path that no pattern can
// match: one that does not begin with '/' ("*" of OPTIONS), or one with both an
// encoded slash and a dot segment. Whoever decodes before cleaning sees another
// path there ("/a%2Fb/../c" is /a/c then, and /c to us), and a rule of such a
// one that guards /c must not be walked around.
//
// The path is cleaned as Caddy's matchers do: slashes are merged, dot segments
// resolved, and the slash at the end is kept. A dot segment is one whether its
// dots came encoded or not.
func (p *requestPath) set(q *Request) bool {
	p.text, p.raw = q.Path, ""
	if p.text == "" {
		p.text = "/"
	}
	if p.text[0] != '/' {
		return false
	}
	if q.RawPath == "" || !p.cut(q.RawPath) {
		if !p.clean() {
			p.text = cleaned(p.text)
		}
		p.cutText()
		return true
	}
	p.raw = q.RawPath
	if p.clean() {
		return true
	}
	slash := strings.Count(p.text, "/") > strings.Count(p.raw, "/")
	if slash && hasDots(p.text) {
		return false
	}
	raw := p.cleanedRaw()
	text, err := url.PathUnescape(raw)
	if err != nil {
		return false
	}
	p.text, p.raw = text, raw
	return p.cut(raw)
}

// cutText cuts a path that has no encoded slash.
func (p *requestPath) cutText() {
	p.n, p.more = 0, nil
	p.push(1)
	for i := 1; i < len(p.text); i++ {
		if p.text[i] == '/' {
			p.push(i + 1)
		}
	}
	p.push(len(p.text) + 1)
}

// cut cuts the path where the escaped path has its slashes. It reports false if
// raw is not an escaped form of it.
func (p *requestPath) cut(raw string) bool {
	if raw == "" || raw[0] != '/' {
		return false
	}
	p.n, p.more = 0, nil
	p.push(1)
	n := 1
	for i := 1; i < len(raw); n++ {
		c, width := unescaped(raw, i)
		if width == 0 || n == len(p.text) || p.text[n] != c {
			return false
		}
		if raw[i] == '/' {
			p.push(n + 1)
		}
		i += width
	}
	p.push(n + 1)
	return n == len(p.text)
}

// clean reports whether text has neither dot segments nor empty ones before its
// end. Encoded slashes count as slashes: what this sees too much, the slow way
// puts right.
func (p *requestPath) clean() bool {
	return !strings.Contains(p.text, "//") && (!strings.Contains(p.text, "/.") || !hasDots(p.text))
}

// hasDots reports whether a decoded path has a dot segment.
func hasDots(s string) bool {
	for seg := range strings.SplitSeq(s, "/") {
		if seg == "." || seg == ".." {
			return true
		}
	}
	return false
}

// cleaned is a decoded path after cleaning.
func cleaned(s string) string {
	clean := path.Clean(s)
	if strings.HasSuffix(s, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// cleanedRaw is the escaped path after cleaning.
func (p *requestPath) cleanedRaw() string {
	var kept []string
	for i, part := range strings.Split(p.raw[1:], "/") {
		switch p.segment(i) {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, part)
		}
	}
	if strings.HasSuffix(p.raw, "/") || len(kept) == 0 {
		kept = append(kept, "")
	}
	return "/" + strings.Join(kept, "/")
}

// escaped is how the bytes of text from from up to to were escaped in raw.
func escaped(text, raw string, from, to int) string {
	if raw == "" {
		u := url.URL{Path: "/" + text[from:to]}
		return u.EscapedPath()[1:]
	}
	start := skip(raw, from)
	return raw[start : start+skip(raw[start:], to-from)]
}

// skip is how many bytes of raw n bytes of the decoded text take.
func skip(raw string, n int) int {
	i := 0
	for range n {
		_, width := unescaped(raw, i)
		i += width
	}
	return i
}

// unescaped is the byte that stands at i, and how many bytes it takes: 0 for a
// '%' that is no escape.
func unescaped(raw string, i int) (byte, int) {
	if raw[i] != '%' {
		return raw[i], 1
	}
	if i+2 >= len(raw) {
		return 0, 0
	}
	hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
	if hi < 0 || lo < 0 {
		return 0, 0
	}
	return byte(hi<<4 | lo), 3
}

// unhex is the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
