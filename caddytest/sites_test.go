package caddytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// startSites starts a Caddy with a whole Caddyfile of the test's, in which
// {{.Executor}} stands for the URL of a scripted executor.
func startSites(t *testing.T, text string, opts ...Option) *platform {
	t.Helper()
	p := &platform{ex: executortest.New(t)}
	t.Cleanup(func() { // after the end of Caddy
		if p.Caddy != nil {
			p.wantQuietEnd(t)
		}
	})
	p.Caddy = Start(t, p.sites(text), opts...)
	return p
}

// sites is such a Caddyfile for this platform.
func (p *platform) sites(text string) Config {
	return Caddyfile(strings.ReplaceAll(text, "{{.Executor}}", p.ex.URL))
}

// ask makes one request to a host and reads the answer; header is name, value,
// name, value….
func (c *Caddy) ask(t *testing.T, method, host, path string, header ...string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://%s:%d%s", host, c.HTTPPort(), path), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Client().Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the body: %v", method, req.URL, err)
	}
	return reply{resp.StatusCode, resp.Header, string(body), time.Now()}
}

// echo is what a function saw of the request that r answers.
func (r reply) echo(t *testing.T) Echo {
	t.Helper()
	var e Echo
	if err := json.Unmarshal([]byte(r.body), &e); err != nil || r.status != http.StatusOK {
		t.Fatalf("got status %d and %v, want 200 and an echo; body: %s", r.status, err, r.body)
	}
	return e
}

// accessLog waits for the access log's entry of a request whose URI contains
// text.
func (c *Caddy) accessLog(t *testing.T, text string) map[string]any {
	t.Helper()
	var found map[string]any
	Eventually(t, patience, func() bool {
		for _, entry := range c.Logs() {
			if entry.Msg == "handled request" && strings.Contains(entry.Raw, text) {
				found = entry.Fields
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprintf("no entry with %q in the access log", text) })
	return found
}

// certificate writes a certificate for localhost that signs itself, and its
// key, and returns their files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	secretDER, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secretDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
