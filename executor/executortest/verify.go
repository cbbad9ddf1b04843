package executortest

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
)

// maxSkew is how far a signature's time may be from the verifier's.
const maxSkew = 2 * time.Minute

// Verify says what is wrong with the signature of a call, whose body is body,
// under a secret and a header prefix, at the time now.
func Verify(r *http.Request, body []byte, secret, prefix string, now time.Time) error {
	signer, err := executor.NewSigner(secret, prefix)
	if err != nil {
		return err
	}
	timestamp, signature := signer.Headers()
	unix, err := strconv.ParseInt(r.Header.Get(timestamp), 10, 64)
	if err != nil {
		return fmt.Errorf("%s %q is no Unix time", timestamp, r.Header.Get(timestamp))
	}
	if skew := now.Sub(time.Unix(unix, 0)); skew.Abs() > maxSkew {
		return fmt.Errorf("%s is %v off", timestamp, skew)
	}
	want := signer.Signature(r.Method, r.URL.RequestURI(), body, unix)
	if !hmac.Equal([]byte(r.Header.Get(signature)), []byte(want)) {
		return errors.New(signature + " is not the signature of this call")
	}
	return nil
}

// RequireSignature makes the server answer 401 to a call that is not signed
// with secret under prefix (empty: "Kubefaas"). An empty secret lifts it.
func (s *Server) RequireSignature(secret, prefix string) {
	if prefix == "" {
		prefix = "Kubefaas"
	}
	s.access.mu.Lock()
	defer s.access.mu.Unlock()
	s.access.secret, s.access.prefix = secret, prefix
}

// access is who may call.
type access struct {
	mu             sync.Mutex
	secret, prefix string
}

func (a *access) check(r *http.Request, body []byte) error {
	a.mu.Lock()
	secret, prefix := a.secret, a.prefix
	a.mu.Unlock()
	if secret == "" {
		return nil
	}
	return Verify(r, body, secret, prefix, time.Now())
}
