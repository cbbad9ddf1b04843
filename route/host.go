package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxHost is the longest host that a trigger can name, in bytes.
const maxHost = 253

// hostKey checks a trigger's host and returns it as it is compared: in lower
// case, an IP address in its canonical form without brackets.
func hostKey(s string) (string, error) {
	if s == "" {
		return "", errors.New("a host is empty")
	}
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil && ip.Zone() == "" {
		return ip.String(), nil
	}
	if strings.ContainsAny(s, "{}") {
		return "", fmt.Errorf("host %q: an unknown placeholder", s)
	}
	if strings.Contains(s, ":") {
		return "", fmt.Errorf("host %q: hosts are compared without a port, leave it out", s)
	}
	if len(s) > maxHost {
		return "", fmt.Errorf("host %.20q… is longer than %d bytes", s, maxHost)
	}
	for i, label := range strings.Split(s, ".") {
		if i == 0 && label == "*" && len(s) > len("*.") {
			continue
		}
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("host %q: %w", s, err)
		}
	}
	return strings.ToLower(s), nil
}

// checkLabel says what is wrong with one label of a host.
func checkLabel(label string) error {
	if label == "" {
		return errors.New("a label is empty")
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '*':
			return errors.New("'*' may only be the whole first label of several; without a host, a trigger serves them all")
		case c >= 0x80:
			return errors.New("a host is written in ASCII (xn--…)")
		default:
			return fmt.Errorf("%q may not be in a host", label[i:i+1])
		}
	}
	return nil
}

// appendHost appends a request's host as hostKey would write it, to a buffer so
// that it costs no allocation. A host that no trigger can name comes out empty.
func appendHost(buf []byte, host string) []byte {
	bracketed := strings.HasPrefix(host, "[")
	if bracketed {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return buf
		}
		host = host[1:end]
	} else if i := strings.IndexByte(host, ':'); i >= 0 && i == strings.LastIndexByte(host, ':') {
		host = host[:i]
	}
	if len(host) > maxHost {
		return buf
	}
	if bracketed || strings.IndexByte(host, ':') >= 0 {
		ip, err := netip.ParseAddr(host)
		if err != nil || ip.Zone() != "" {
			return buf
		}
		return ip.AppendTo(buf)
	}
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf = append(buf, c)
	}
	return buf
}
