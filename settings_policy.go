package kubefaas

import (
	"net/textproto"
	"strings"
	"time"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/invoke"
)

// policy is an app's configuration as the request path needs it.
type policy struct {
	invoke.Policy
	names headerNames
}

// newPolicy makes it of an app whose defaults are set.
func newPolicy(a *App) *policy {
	return &policy{
		Policy: invokePolicy(a, a.Retry),
		names:  newHeaderNames(a.HeaderPrefix),
	}
}

// withRetry is the same policy with other retry settings.
func (p *policy) withRetry(a *App, r *Retry) *policy {
	if r == nil {
		return p
	}
	return &policy{Policy: invokePolicy(a, r), names: p.names}
}

func invokePolicy(a *App, r *Retry) invoke.Policy {
	attempts := r.policy()
	return invoke.Policy{
		Retry: attempts,
		Endpoint: &endpoint.Settings{
			AddressTTL:       time.Duration(a.AddressTTL),
			ColdStartTimeout: time.Duration(a.ColdStartTimeout),
			MaxWaiting:       a.MaxWaiting,
			MaxWaitingTotal:  a.MaxWaitingTotal,
			Backoff:          attempts.Backoff,
			DialTimeout:      attempts.DialTimeout,
			AddressAttempts:  attempts.AddressAttempts,
		},
		MaxReplayBody:   int64(a.MaxReplayBody),
		MaxWaitingBytes: int64(a.MaxWaitingBytes),
	}
}

// headerNames are the headers that bear the prefix, in canonical form.
type headerNames struct {
	fullURL, uid, name, namespace, version string
	// params and function begin every header that only the router may set.
	params, function string
	err, cold        string
}

func newHeaderNames(prefix string) headerNames {
	canonical := func(rest string) string {
		return textproto.CanonicalMIMEHeaderKey("X-" + prefix + "-" + rest)
	}
	return headerNames{
		fullURL:   canonical("Full-Url"),
		uid:       canonical("Function-Uid"),
		name:      canonical("Function-Name"),
		namespace: canonical("Function-Namespace"),
		version:   canonical("Function-Resourceversion"),
		params:    canonical("Params-"),
		function:  canonical("Function-"),
		err:       canonical("Error"),
		cold:      canonical("Cold"),
	}
}

// param is the header of a path variable.
func (n *headerNames) param(variable string) string {
	return textproto.CanonicalMIMEHeaderKey(n.params + variable)
}

// forged says whether a client must not be believed a header of this name. An
// underscore counts as a hyphen, since many a function's server makes one
// variable of both.
func (n *headerNames) forged(name string) bool {
	if len(name) < 2 || (name[0]|0x20) != 'x' {
		return false
	}
	if strings.Contains(name, "_") {
		name = strings.ReplaceAll(name, "_", "-")
	}
	return hasPrefixFold(name, n.params) || hasPrefixFold(name, n.function) || strings.EqualFold(name, n.fullURL)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isHeaderWord says whether s may be part of a header's name.
func isHeaderWord(s string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}
	return s != ""
}
