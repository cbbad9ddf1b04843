package executor_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor"
)

// hmacSHA256 is the only thing that the steps below share with the signer.
func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func TestSignatureIsTheOneOfTheContract(t *testing.T) {
	const body = `{"name":"hello"}`
	for prefix, want := range map[string]struct{ info, timestamp, signature, hex string }{
		"Kubefaas": {
			"kubefaas-internal-v1:executor", "X-Kubefaas-Auth-Timestamp", "X-Kubefaas-Auth-Signature",
			"754155973a39d43fa9bcb3e5ddeb2f549ddf4245cd3013f28a69fd991a4b6bbc",
		},
		"Acme": {
			"acme-internal-v1:executor", "X-Acme-Auth-Timestamp", "X-Acme-Auth-Signature",
			"f5a147d5dccc6874713c1de37766dc52910649fa7f31e1e92a86600c9d16824d",
		},
	} {
		// RFC 5869 with no salt and one block: extract, then expand.
		pseudoRandom := hmacSHA256(make([]byte, sha256.Size), "s3cret")
		key := hmacSHA256(pseudoRandom, want.info+"\x01")
		// 1700000039 is 59 seconds into its minute.
		text := fmt.Sprintf("POST\n/base/v2/getServiceForFunction?x=1\n%x\n1699999980", sha256.Sum256([]byte(body)))
		steps := hex.EncodeToString(hmacSHA256(key, text))
		if steps != want.hex {
			t.Errorf("%s: the contract's steps give %s; want the fixed vector %s", prefix, steps, want.hex)
		}

		signer, err := executor.NewSigner("s3cret", prefix)
		if err != nil {
			t.Fatalf("NewSigner: %v", err)
		}
		r := httptest.NewRequest("POST", "http://executor:8888/base/v2/getServiceForFunction?x=1", nil)
		signer.Sign(r, []byte(body), time.Unix(1700000039, 999))
		if got := r.Header.Get(want.signature); got != want.hex {
			t.Errorf("%s: %s = %q; want %q", prefix, want.signature, got, want.hex)
		}
		if got := r.Header.Get(want.timestamp); got != "1700000039" {
			t.Errorf("%s: %s = %q; want the time to the second, 1700000039", prefix, want.timestamp, got)
		}
	}
}

func TestSignatureDependsOnEveryPartOfTheCall(t *testing.T) {
	signer, err := executor.NewSigner("s3cret", "Kubefaas")
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	other, err := executor.NewSigner("secret", "Kubefaas")
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	want := signer.Signature("POST", "/a", []byte("x"), 1700000000)
	if got := signer.Signature("POST", "/a", []byte("x"), 1700000039); got != want {
		t.Errorf("in the same minute: %s; want %s", got, want)
	}
	for name, got := range map[string]string{
		"another method": signer.Signature("PUT", "/a", []byte("x"), 1700000000),
		"another path":   signer.Signature("POST", "/b", []byte("x"), 1700000000),
		"a query":        signer.Signature("POST", "/a?b", []byte("x"), 1700000000),
		"another body":   signer.Signature("POST", "/a", []byte("y"), 1700000000),
		"another minute": signer.Signature("POST", "/a", []byte("x"), 1700000040),
		"another secret": other.Signature("POST", "/a", []byte("x"), 1700000000),
	} {
		if got == want {
			t.Errorf("%s: the same signature %s; want another", name, got)
		}
	}
}

func TestNewSignerRefusesWhatCannotSign(t *testing.T) {
	for name, in := range map[string][2]string{
		"no secret":                    {"", "Kubefaas"},
		"no prefix":                    {"s3cret", ""},
		"a prefix that is no header's": {"s3cret", "Kube faas"},
		"a prefix with a line break":   {"s3cret", "Kube\r\nfaas"},
	} {
		if _, err := executor.NewSigner(in[0], in[1]); err == nil {
			t.Errorf("%s: NewSigner(%q, %q) gave no error", name, in[0], in[1])
		}
	}
}
