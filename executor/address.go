package executor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

const (
	defaultPort = "80"
	maxHost     = 253 // a DNS name, in bytes (RFC 1035)
	maxLabel    = 63
)

// ParseAddress reads an address as an executor names it, "host:port" or
// "host", which means port 80, and returns it as "host:port" in lower case.
// The host is a DNS name, an IPv4 address, or an IPv6 address in brackets
// and without a zone; white space around it is ignored. Anything else is an
// error that wraps ErrBadAddress.
func ParseAddress(s string) (string, error) {
	s = strings.TrimSpace(s)
	host, port, err := splitAddress(s)
	if err == nil {
		host, err = parseHost(host)
	}
	if err == nil {
		port, err = parsePort(port)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %.64q: %w", ErrBadAddress, s, err)
	}
	return net.JoinHostPort(host, port), nil
}

// splitAddress separates the host, brackets included, from the port.
func splitAddress(s string) (host, port string, err error) {
	colon := strings.LastIndexByte(s, ':')
	bracket := strings.LastIndexByte(s, ']')
	switch {
	case s == "":
		return "", "", errors.New("it is empty")
	case colon <= bracket: // no colon, or only those of an IPv6 address
		return s, defaultPort, nil
	}
	return s[:colon], s[colon+1:], nil
}

// parseHost returns the host without brackets, in its usual spelling.
func parseHost(s string) (string, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if !ok || err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", errors.New("no IPv6 address stands in its brackets")
		}
		return ip.String(), nil
	}
	if ip, err := netip.ParseAddr(s); err == nil && ip.Is4() {
		return ip.String(), nil
	}
	if err := checkName(s); err != nil {
		return "", err
	}
	return strings.ToLower(s), nil
}

// checkName says why s cannot be a DNS name. Names with '_' are used, so they
// pass. A name that ends in a number is none: "8888", and "10.0.0" or
// "10.0.0.300", which resolvers read in different ways.
func checkName(s string) error {
	if len(s) > maxHost {
		return fmt.Errorf("the host is longer than %d bytes", maxHost)
	}
	var last string
	for last = range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if last == "" || len(last) > maxLabel || last[0] == '-' || last[len(last)-1] == '-' {
			return errors.New("a part of the host is empty, too long, or has '-' at an end")
		}
		if i := strings.IndexFunc(last, notInLabel); i >= 0 {
			return fmt.Errorf("%q may not be in a host", last[i:i+1])
		}
	}
	if strings.Trim(last, "0123456789") == "" {
		return errors.New("the host is neither a name nor an IP address")
	}
	return nil
}

func notInLabel(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// parsePort returns the port without leading zeros.
func parsePort(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", errors.New("the port is not a number from 1 to 65535")
	}
	return strconv.FormatUint(n, 10), nil
}
