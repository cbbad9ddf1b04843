package h1

import (
	"bytes"
	"net/http"
	"net/http/httputil"
	"strings"
)

var blankLine = []byte("\r\n\r\n")

// readHead reads one response head. Ordinary ones that are complete in the buffer
// are parsed here, everything else by net/http.
func (x *exchange) readHead() (*http.Response, error) {
	br := x.c.br
	if br.Buffered() == 0 {
		// An error shows again below, where it is net/http's to word.
		_, _ = br.Peek(1)
	}
	b, _ := br.Peek(br.Buffered())
	if end := bytes.Index(b, blankLine); end >= 0 && x.parse(b[:end+len("\r\n")]) {
		_, err := br.Discard(end + len(blankLine))
		return &x.resp, err
	}
	resp, err := http.ReadResponse(br, x.req)
	if err != nil {
		return nil, err
	}
	x.rbody = responseBody{x: x}
	if resp.Body != http.NoBody {
		x.rbody.src = resp.Body
		resp.Body = &x.rbody
	}
	return resp, nil
}

// headFacts is what the fields of a head say about what follows it.
type headFacts struct {
	length           int64 // -1 without Content-Length
	chunked, closing bool
}

// parse fills x.resp from the lines of a head. It returns false, with nothing
// decided, if anything about it is out of the ordinary.
func (x *exchange) parse(lines []byte) bool {
	const codeAt, codeEnd = len("HTTP/1.1 "), len("HTTP/1.1 200")
	if len(lines) < codeEnd+len("\r\n") || string(lines[:codeAt]) != "HTTP/1.1 " {
		return false
	}
	code := 0
	for _, c := range lines[codeAt:codeEnd] {
		if c < '0' || c > '9' {
			return false
		}
		code = code*10 + int(c-'0')
	}
	if code < 100 || code == http.StatusSwitchingProtocols || lines[codeEnd] != ' ' && lines[codeEnd] != '\r' {
		return false
	}
	text := string(lines) // everything below is a part of this one string
	status, fields, ok := cutLine(text)
	if !ok {
		return false
	}
	header, facts, ok := x.parseFields(fields)
	if !ok {
		return false
	}
	return x.frame(code, status[codeAt:], header, facts)
}

// cutLine cuts the first line off. Its end must be CRLF, without another CR.
func cutLine(s string) (line, rest string, ok bool) {
	end := strings.IndexByte(s, '\r')
	if end < 0 || end+1 >= len(s) || s[end+1] != '\n' || strings.IndexByte(s[:end], '\n') >= 0 {
		return "", "", false
	}
	return s[:end], s[end+2:], true
}

// parseFields reads the header fields, which all end in CRLF.
func (x *exchange) parseFields(rest string) (http.Header, headFacts, bool) {
	facts := headFacts{length: -1}
	n := strings.Count(rest, "\n")
	h := make(http.Header, n)
	vals := x.vals[:]
	if n > len(vals) || x.informed {
		vals = make([]string, n)
	}
	for rest != "" {
		var line string
		var ok bool
		if line, rest, ok = cutLine(rest); !ok {
			return nil, facts, false
		}
		key, value, ok := splitField(line)
		if !ok {
			return nil, facts, false
		}
		keep, ok := facts.note(key, value, h)
		if !ok {
			return nil, facts, false
		}
		if !keep {
			continue
		}
		if have := h[key]; have != nil {
			h[key] = append(have, value)
			continue
		}
		vals[0] = value
		h[key], vals = vals[:1:1], vals[1:]
	}
	return h, facts, true
}

// splitField splits a line into its canonical name and its value.
func splitField(line string) (key, value string, ok bool) {
	colon, canonical, upper := -1, true, true
	for i := range len(line) {
		c := line[i]
		if class[c]&inToken == 0 {
			colon = i
			break
		}
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			canonical = false
		}
		upper = c == '-'
	}
	if colon <= 0 || line[colon] != ':' {
		return "", "", false
	}
	key, value = line[:colon], strings.Trim(line[colon+1:], " \t")
	if !canonical {
		key = http.CanonicalHeaderKey(key) // interned for the usual names
	}
	return key, value, consistsOf(value, inValue)
}

// note takes down what a field says about the framing. keep tells whether it belongs
// in the header map, ok is false for what net/http must judge.
func (f *headFacts) note(key, value string, h http.Header) (keep, ok bool) {
	switch key {
	case "Content-Length":
		if f.length >= 0 || f.chunked || len(value) == 0 || len(value) > 18 {
			return false, false
		}
		f.length = 0
		for i := range len(value) {
			if value[i] < '0' || value[i] > '9' {
				return false, false
			}
			f.length = f.length*10 + int64(value[i]-'0')
		}
	case "Transfer-Encoding":
		ok := value == "chunked" && !f.chunked && f.length < 0
		f.chunked = true
		return false, ok
	case "Connection":
		if f.closing || h["Connection"] != nil {
			return false, false
		}
		if strings.EqualFold(value, "close") {
			f.closing = true
			return false, true // as net/http, which turns it into Response.Close
		}
		return true, strings.EqualFold(value, "keep-alive")
	case "Trailer", "Pragma":
		return false, false
	}
	return true, true
}

// frame decides what follows the head, RFC 9112, section 6.3.
func (x *exchange) frame(code int, status string, h http.Header, f headFacts) bool {
	head := x.req.Method == http.MethodHead
	bare := code < 200 || code == http.StatusNoContent || code == http.StatusNotModified
	if f.chunked && (head || bare) {
		return false
	}
	x.resp = http.Response{
		Status: status, StatusCode: code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: f.length, Close: f.closing, Body: http.NoBody,
	}
	x.rbody = responseBody{x: x}
	switch {
	case head:
	case bare:
		x.resp.ContentLength = 0
	case f.chunked:
		x.te[0] = "chunked"
		x.resp.TransferEncoding = x.te[:]
		x.rbody.src, x.rbody.trailer = httputil.NewChunkedReader(x.c.br), &x.resp
		x.resp.Body = &x.rbody
	case f.length > 0:
		x.rbody.left = f.length
		x.resp.Body = &x.rbody
	case f.length < 0:
		x.resp.Close = true
		x.rbody.src = x.c.br
		x.resp.Body = &x.rbody
	}
	return true
}
