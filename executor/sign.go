package executor

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	signingKeyLen = 32
	// signingWindow is what the time in the signed text is floored to.
	signingWindow = 60 // seconds
)

// Signer signs calls with a secret that the executor shares.
type Signer struct {
	key       []byte
	timestamp string
	signature string
}

// NewSigner derives the key from secret. The prefix is the word in the names
// of the two headers, X-<prefix>-Auth-Timestamp and X-<prefix>-Auth-Signature,
// and, in lower case, in what the key is derived for. It is an error if either
// is empty.
func NewSigner(secret, prefix string) (*Signer, error) {
	if secret == "" || prefix == "" {
		return nil, errors.New("signing needs a secret and a header prefix")
	}
	if strings.ContainsFunc(prefix, notInLabel) {
		return nil, fmt.Errorf("header prefix %q: letters, digits, '-' and '_' may be in it", prefix)
	}
	info := strings.ToLower(prefix) + "-internal-v1:executor"
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, info, signingKeyLen)
	if err != nil {
		return nil, fmt.Errorf("deriving the signing key: %w", err)
	}
	return &Signer{
		key:       key,
		timestamp: http.CanonicalHeaderKey("X-" + prefix + "-Auth-Timestamp"),
		signature: http.CanonicalHeaderKey("X-" + prefix + "-Auth-Signature"),
	}, nil
}

// Headers returns the names of the two headers.
func (s *Signer) Headers() (timestamp, signature string) { return s.timestamp, s.signature }

// Sign sets the two headers on r, whose body is body, as of now. The header
// has the time to the second, the signed text has it floored to the minute.
func (s *Signer) Sign(r *http.Request, body []byte, now time.Time) {
	unix := now.Unix()
	r.Header.Set(s.timestamp, strconv.FormatInt(unix, 10))
	r.Header.Set(s.signature, s.Signature(r.Method, r.URL.RequestURI(), body, unix))
}

// Signature returns the signature, in hex, of a call: its method, its path
// and query as sent, its body, and the Unix time that its header bears.
func (s *Signer) Signature(method, uri string, body []byte, unix int64) string {
	sum := sha256.Sum256(body)
	mac := hmac.New(sha256.New, s.key)
	fmt.Fprintf(mac, "%s\n%s\n%x\n%d", method, uri, sum, unix-unix%signingWindow)
	return hex.EncodeToString(mac.Sum(nil))
}
