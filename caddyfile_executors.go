package kubefaas

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
)

// UnmarshalCaddyfile sets up the remote executor. Syntax:
//
//	executor http <url> {
//		api v1|v2
//		signing_secret <secret>
//		tls {
//			...
//		}
//	}
func (e *HTTPExecutor) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if err := one(&e.URL, executorURL)(d); err != nil {
		return err
	}
	return parseBlock(d, words{
		"api":            one(&e.API, oneOf("API", executor.APIv1, executor.APIv2)),
		"signing_secret": one(&e.SigningSecret, text),
		"tls":            func(d *caddyfile.Dispenser) error { return e.unmarshalTLS(d) },
	})
}

// executorURL reads the URL of a remote executor. One with a placeholder is
// judged when it has its value.
func executorURL(s string) (string, error) {
	if strings.Contains(s, "{") {
		return s, nil
	}
	client, err := executor.New(executor.Options{URL: s})
	if err != nil {
		return "", err
	}
	client.Close()
	return s, nil
}

// unmarshalTLS reads the words that reverse_proxy's http transport has for
// TLS, and refuses its others.
func (e *HTTPExecutor) unmarshalTLS(d *caddyfile.Dispenser) error {
	if d.CountRemainingArgs() > 0 {
		return d.ArgErr()
	}
	at := *d
	block := d.NewFromNextSegment()
	if err := onlyTLS(*block); err != nil {
		return err
	}
	var t reverseproxy.HTTPTransport
	if err := t.UnmarshalCaddyfile(block); err != nil {
		return err
	}
	if e.TLS = t.TLS; e.TLS == nil {
		e.TLS = new(reverseproxy.TLSConfig)
	}
	return located(&at, e.checkTLS())
}

// onlyTLS refuses the words of an HTTP transport that are not about TLS, and
// repeated ones. d is a copy that nobody else reads.
func onlyTLS(d caddyfile.Dispenser) error {
	seen := make(map[string]bool)
	for d.Next(); d.NextBlock(0); d.NextSegment() {
		switch word := d.Val(); {
		case !strings.HasPrefix(word, "tls"):
			return d.Errf("tls: unrecognized subdirective %q: only words about TLS may stand here, such as tls_server_name", word)
		case seen[word]:
			return d.Errf("tls: %s stands twice", word)
		default:
			seen[word] = true
		}
	}
	return nil
}

// UnmarshalCaddyfile sets up fixed addresses. Syntax:
//
//	executor static {
//		[<namespace>/]<function> <address...>
//	}
func (e *StaticExecutor) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := make(map[function.Ref]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		ref, err := parseFunctionRef(d.Val())
		if err != nil {
			return d.WrapErr(err)
		}
		f := StaticFunction{Namespace: ref.Namespace, Name: ref.Name}
		if seen[f.ref()] {
			return d.Errf("function %s stands twice", f.ref())
		}
		seen[f.ref()] = true
		if err := some(&f.Addresses)(d); err != nil {
			return err
		}
		if _, err := (&StaticExecutor{Functions: []StaticFunction{f}}).build(); err != nil {
			return d.WrapErr(err)
		}
		e.Functions = append(e.Functions, f)
	}
	return nil
}
