package kubefaas

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
)

func TestForwardedHostIsQuotedWhereItMustBe(t *testing.T) {
	for host, want := range map[string]string{
		"":                 "",
		"example.com":      "example.com",
		"example.com:80":   "example.com:80",
		"192.0.2.1":        "192.0.2.1",
		"::1":              `"::1"`,
		"[::1]":            `"[::1]"`,
		"[::1]:80":         `"[::1]:80"`,
		"a;proto=https":    `"a;proto=https"`,
		"a,for=192.0.2.1":  `"a,for=192.0.2.1"`,
		`a"b\c`:            `"a\"b\\c"`,
		"xn--mller-kva.de": "xn--mller-kva.de",
	} {
		if got := forwardedHost(host); got != want {
			t.Errorf("%q: got %s, want %s", host, got, want)
		}
	}
}

func TestForgedHeadersAreKnownByAnySpelling(t *testing.T) {
	names := newHeaderNames("Kubefaas")
	for name, want := range map[string]bool{
		"X-Kubefaas-Params-Id":        true,
		"X_kubefaas_params_id":        true,
		"x-kubefaas-function-name":    true,
		"X-Kubefaas-Function-Unknown": true,
		"X-Kubefaas-Full-Url":         true,
		"X-Kubefaas_full_url":         true,
		"X-Kubefaas-Full-Urls":        false,
		"X-Kubefaas-Cold":             false,
		"X-Other-Params-Id":           false,
		"X":                           false,
		"":                            false,
	} {
		if got := names.forged(name); got != want {
			t.Errorf("%q: got forged %t, want %t", name, got, want)
		}
	}
}

func TestHeaderValueCannotEndTheLine(t *testing.T) {
	for value, want := range map[string]string{
		"plain é/?":    "plain é/?",
		"a\tb":         "a\tb",
		"a\r\nX: 1":    "a%0D%0AX:%201",
		"a\x00":        "a%00",
		"a\x7f":        "a%7F",
		"\xff no UTF8": "\xff no UTF8",
	} {
		if got := headerValue(value); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

// FuzzHeaderValue looks for a value that net/http would refuse to send.
func FuzzHeaderValue(f *testing.F) {
	for _, s := range []string{"", "a", "a\r\nb", "\x00", "\x7f", "é", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for i, c := range []byte(headerValue(s)) {
			if c < ' ' && c != '\t' || c == 0x7f {
				t.Errorf("%q: got byte %#x at %d, want none that ends or breaks the line", s, c, i)
			}
		}
	})
}

func TestHopByHopHeadersAreLeftOut(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{
		"Connection": {"x-one, keep-alive", "X-Two"}, "X-One": {"1"}, "X-Two": {"2"}, "X-Three": {"3"},
		"Keep-Alive": {"5"}, "Te": {"trailers, deflate"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"},
		"Proxy-Authorization": {"Basic x"}, "Http2-Settings": {"x"},
	}
	names := newHeaderNames("Kubefaas")
	got := outboundHeader(r, &names)
	if len(got) != 2 || got.Get("X-Three") != "3" || got.Get("Te") != "trailers" {
		t.Errorf("got %v, want X-Three and Te: trailers only", got)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	if got = outboundHeader(r, &names); got.Get("Connection") != "Upgrade" || got.Get("Upgrade") != "websocket" {
		t.Errorf("got %v, want the upgrade relayed", got)
	}
}

func TestRequestIDIsAUUIDOfVersion4(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := make(map[string]bool)
	for range 1000 {
		id := requestID(&http.Request{})
		if !uuid.MatchString(id) || seen[id] {
			t.Fatalf("got id %q, want a new UUID", id)
		}
		seen[id] = true
	}
}
