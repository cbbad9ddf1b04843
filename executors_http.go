package kubefaas

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/kubefaas/caddy-kubefaas/executor"
	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/h1"
)

// HTTPExecutor asks a remote executor.
type HTTPExecutor struct {
	// The executor's base URL.
	URL string `json:"url"`

	// The generation of its API: `v1` or `v2`. Default: `v2`.
	API string `json:"api,omitempty"`

	// The secret with which calls are signed; it may be a placeholder such as
	// `{env.NAME}`. Default: calls are not signed.
	SigningSecret string `json:"signing_secret,omitempty"`

	// TLS to an `https` executor, as in reverse_proxy's `http` transport.
	// Default: the system's roots.
	TLS *reverseproxy.TLSConfig `json:"tls,omitempty"`

	client   *sharedClient
	key      string
	revision string
}

// sharedClient is a client that configurations with the same settings share:
// its connections are warm after a reload, and it remembers that the executor
// has answered.
type sharedClient struct {
	*executor.Client
	reached atomic.Bool
}

// Destruct implements caddy.Destructor.
func (c *sharedClient) Destruct() error {
	c.Close()
	return nil
}

// clientPool keeps clients over reloads, keyed by all their settings: another
// secret or certificate must not be used on the old one's connections.
var clientPool = caddy.NewUsagePool()

// CaddyModule returns the Caddy module information.
func (*HTTPExecutor) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "kubefaas.executors.http", New: func() caddy.Module { return new(HTTPExecutor) }}
}

// Provision makes the client, or takes the one of the configuration before.
func (e *HTTPExecutor) Provision(ctx caddy.Context) error {
	repl := caddy.NewReplacer()
	for _, field := range []*string{&e.URL, &e.SigningSecret} {
		s, err := repl.ReplaceOrErr(*field, true, true)
		if err != nil {
			return fmt.Errorf("executor http: %w", err)
		}
		*field = s
	}
	if e.API == "" {
		e.API = executor.APIv2
	}
	if err := e.checkTLS(); err != nil {
		return fmt.Errorf("executor http: %w", err)
	}
	// The app is provisioned up to its executor: it has its defaults.
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	settings, err := json.Marshal(e)
	if err != nil {
		return err
	}
	retry, err := json.Marshal(app.(*App).Retry)
	if err != nil {
		return err
	}
	settings = append(append(settings, retry...), app.(*App).HeaderPrefix...)
	if e.TLS != nil {
		// Its certificates may be others in the same files.
		settings = fmt.Appendf(settings, "%p", e)
	}
	sum := sha256.Sum256(settings)
	key := hex.EncodeToString(sum[:])
	v, _, err := clientPool.LoadOrNew(key, func() (caddy.Destructor, error) { return e.newClient(ctx, app.(*App)) })
	if err != nil {
		return fmt.Errorf("executor http: %w", err)
	}
	e.client, e.key, e.revision = v.(*sharedClient), key, "http "+strings.TrimRight(e.URL, "/")
	return nil
}

// checkTLS refuses TLS that would not be used.
func (e *HTTPExecutor) checkTLS() error {
	if scheme, _, _ := strings.Cut(e.URL, ":"); e.TLS == nil || strings.EqualFold(scheme, "https") || strings.Contains(e.URL, "{") {
		return nil
	}
	return fmt.Errorf("tls: the URL %q is not an https one", e.URL)
}

func (e *HTTPExecutor) newClient(ctx caddy.Context, app *App) (*sharedClient, error) {
	var config *tls.Config
	if e.TLS != nil {
		var err error
		if config, err = e.TLS.MakeTLSClientConfig(ctx); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	shared := new(sharedClient)
	client, err := executor.New(executor.Options{
		URL: e.URL, API: e.API, SigningSecret: e.SigningSecret, HeaderPrefix: app.HeaderPrefix,
		TLS: config, Plain: plainClient(), Version: moduleVersion(), Backoff: app.Retry.policy().Backoff,
		Observe: func(call, code string, d time.Duration) {
			if code != "error" && code != "canceled" {
				shared.reached.Store(true)
			}
			countExecutorRequest(call, code)
		},
	})
	shared.Client = client
	return shared, err
}

// plainClient makes the exchanges with an executor that has no TLS: half of what a
// cold start costs the router is asking for the address.
func plainClient() *h1.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &h1.Transport{
		Dial:           func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
		MaxIdlePerAddr: 128,
		// Where nothing answers each holds its place for the dialer's time-out.
		MaxDialsPerAddr: 1024,
		IdleTimeout:     time.Minute,
		MaxHeaderBytes:  64 << 10,
	}
}

// Cleanup gives the client back.
func (e *HTTPExecutor) Cleanup() error {
	if e.client == nil {
		return nil
	}
	_, err := clientPool.Delete(e.key)
	return err
}

// Addresses asks the executor once.
func (e *HTTPExecutor) Addresses(ctx context.Context, fn *function.Function) ([]string, error) {
	return e.client.Addresses(traced(ctx), fn)
}

// EnsureCapacity asks the executor for one more address.
func (e *HTTPExecutor) EnsureCapacity(ctx context.Context, fn *function.Function, ready, busy int) (string, error) {
	return e.client.EnsureCapacity(traced(ctx), fn, ready, busy)
}

// Client is what taps are sent by.
func (e *HTTPExecutor) Client() *executor.Client { return e.client.Client }

// Revision is the executor's identity: another executor's addresses are not
// this one's.
func (e *HTTPExecutor) Revision(function.Ref) string { return e.revision }

// Ready says whether the executor has been reached once. It looks if it has
// not.
func (e *HTTPExecutor) Ready(ctx context.Context) bool {
	return e.client.reached.Load() || e.client.Healthy(ctx) == nil
}

// moduleVersion is this module's version in the Caddy that it is built into.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == "github.com/kubefaas/caddy-kubefaas" && m.Version != "(devel)" {
			return m.Version
		}
	}
	return ""
}

// Interface guards
var (
	_ Executor           = (*HTTPExecutor)(nil)
	_ caddy.Provisioner  = (*HTTPExecutor)(nil)
	_ caddy.CleanerUpper = (*HTTPExecutor)(nil)
)
