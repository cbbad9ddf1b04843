package executor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/kubefaas/caddy-kubefaas/function"
)

const (
	// idleConns is how many idle connections to the executor are kept.
	idleConns = 128
	// noCapacityFor is how long an executor without CallCapacity is not asked
	// again: it may be upgraded while the router runs.
	noCapacityFor = time.Minute
)

// Options configure a Client. Only URL is needed.
type Options struct {
	// URL is the executor's base URL, http or https. A path in it is kept in
	// front of every call's own.
	URL string
	// API is APIv1 or APIv2. Default: APIv2.
	API string
	// SigningSecret, if not empty, signs every call.
	SigningSecret string
	// HeaderPrefix is the word in the names of the signature's headers.
	// Default: "Kubefaas".
	HeaderPrefix string
	// TLS configures https connections. Default: the system's roots.
	TLS *tls.Config
	// Plain makes the exchanges of an http URL whose host is ASCII. Default:
	// net/http's Transport with 128 idle connections, which all others have.
	Plain http.RoundTripper
	// Version is this software's, for the User-Agent. Default: not sent.
	Version string
	// Backoff makes the policy by which one Tap, Untap or EnsureCapacity is
	// retried. Default: 50 ms, factor 2, jitter 20 %, 10 attempts.
	Backoff func() backoff.BackOff
	// Observe is called after every HTTP call with one of the Call constants,
	// the status in decimal ("canceled" if the caller left or its deadline
	// passed, "error" if there was no whole answer), and the time it took.
	// It must not block. Default: nothing is called.
	Observe func(call, code string, d time.Duration)
	// Now is the clock for signatures, Retry-After dates and what is
	// remembered, not for what Observe sees. Default: time.Now.
	Now func() time.Time
}

// Client is the remote executor. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	api     string
	http    *http.Client
	signer  *Signer // nil: calls are not signed
	agent   string
	backoff func() backoff.BackOff
	observe func(call, code string, d time.Duration)
	now     func() time.Time
	// noCapacityUntil is the Unix time, in ns, until which the executor is
	// taken to have no CallCapacity.
	noCapacityUntil atomic.Int64
}

var (
	_ Executor = (*Client)(nil)
	_ Scaler   = (*Client)(nil)
	_ Tapper   = (*Client)(nil)
	_ Untapper = (*Client)(nil)
	_ Prober   = (*Client)(nil)
)

// New returns a client, or an error that says which option is wrong. It calls
// nobody.
func New(o Options) (*Client, error) {
	base, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("executor url %q: %w", o.URL, err)
	}
	c := &Client{
		base:    base,
		api:     cmp.Or(o.API, APIv2),
		http:    httpClient(base, o),
		agent:   strings.TrimSuffix("caddy-kubefaas/"+o.Version, "/"),
		backoff: o.Backoff,
		observe: o.Observe,
		now:     o.Now,
	}
	if c.api != APIv1 && c.api != APIv2 {
		return nil, fmt.Errorf("executor api %q: it is %s or %s", o.API, APIv1, APIv2)
	}
	if o.SigningSecret != "" {
		if c.signer, err = NewSigner(o.SigningSecret, cmp.Or(o.HeaderPrefix, "Kubefaas")); err != nil {
			return nil, err
		}
	}
	if c.backoff == nil {
		c.backoff = defaultBackoff
	}
	if c.observe == nil {
		c.observe = func(string, string, time.Duration) {}
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// Close closes the idle connections. Calls that are under way, or come later,
// still work.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Addresses asks once; the caller retries, by what Error.Temporary says. The
// remote executor names one address.
func (c *Client) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	address, err := c.address(ctx, CallAddress, addressBody(c.api, fn))
	if err != nil {
		return nil, err
	}
	return []string{address}, nil
}

// EnsureCapacity retries within ctx what is temporary. Once the executor has
// answered 404 it returns errors.ErrUnsupported for a minute without asking.
func (c *Client) EnsureCapacity(ctx context.Context, fn *function.Function, ready, busy int) (string, error) {
	unsupported := fmt.Errorf("executor: %s: %w", CallCapacity, errors.ErrUnsupported)
	if c.now().UnixNano() < c.noCapacityUntil.Load() {
		return "", unsupported
	}
	body := encode(wireCapacity{Function: functionOf(fn), Ready: ready, Busy: busy})
	var address string
	err := Retry(ctx, c.backoff(), func() (err error) {
		address, err = c.address(ctx, CallCapacity, body)
		return err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.NotFound() {
		c.noCapacityUntil.Store(c.now().Add(noCapacityFor).UnixNano())
		return "", unsupported
	}
	return address, err
}

// Healthy asks once.
func (c *Client) Healthy(ctx context.Context) error {
	_, err := c.call(ctx, CallHealth, nil)
	return err
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the rest repeats s
		}
		return nil, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the scheme is neither http nor https")
	case u.Hostname() == "":
		return nil, errors.New("there is no host in it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it has a query or a fragment")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port is not a number from 1 to 65535")
		}
	}
	return u, nil
}

// httpClient returns a client with one pool for all calls. It follows no
// redirect: a signature holds for one path, and an executor does not move.
func httpClient(base *url.URL, o Options) *http.Client {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if base.Scheme == "http" && isASCII(base.Host) && o.Plain != nil {
		c.Transport = o.Plain
		return c
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	c.Transport = &http.Transport{
		Proxy:                  nil, // addresses are asked for inside the platform
		DialContext:            dialer.DialContext,
		TLSClientConfig:        o.TLS.Clone(),
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return c
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
