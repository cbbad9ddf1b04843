package executor_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor"
)

// badAddresses are what an executor may say instead of an address.
var badAddresses = map[string]string{
	"nothing":                      "",
	"white space":                  " \r\n\t",
	"a scheme":                     "http://10.0.0.7:8888",
	"a path":                       "10.0.0.7:8888/path",
	"a query":                      "10.0.0.7:8888?x=1",
	"user and password":            "me:secret@10.0.0.7:8888",
	"a space":                      "10.0.0.7 :8888",
	"two lines":                    "10.0.0.7:8888\n10.0.0.8:8888",
	"a list":                       "10.0.0.7:8888,10.0.0.8:8888",
	"port 0":                       "10.0.0.7:0",
	"port 65536":                   "10.0.0.7:65536",
	"port 99999":                   "10.0.0.7:99999",
	"a signed port":                "10.0.0.7:+80",
	"a negative port":              "10.0.0.7:-1",
	"a named port":                 "10.0.0.7:http",
	"an empty port":                "10.0.0.7:",
	"only a port":                  ":8888",
	"only a port number":           "8888",
	"three parts of an IP":         "10.0.0:8888",
	"an IP out of range":           "10.0.0.300:8888",
	"IPv6 without brackets":        "2001:db8::1",
	"IPv6 with a zone":             "[fe80::1%eth0]:8888",
	"an open bracket":              "[2001:db8::1:8888",
	"empty brackets":               "[]:8888",
	"IPv4 in brackets":             "[10.0.0.7]:8888",
	"text after brackets":          "[2001:db8::1]x:8888",
	"a name with an empty part":    "a..b:8888",
	"a name that starts with '-'":  "-a.b:8888",
	"a part that ends with '-'":    "a-.b:8888",
	"a name beyond ASCII":          "héllo:8888",
	"bytes that are no text":       "\xff\xfe:8888",
	"a NUL":                        "10.0.0.7\x00:8888",
	"a part of 64 bytes":           strings.Repeat("a", 64) + ":80",
	"a name of 300 bytes":          strings.Repeat("abcdefghi.", 30) + "x:80",
	"JSON":                         `{"address":"10.0.0.7:8888"}`,
	"HTML":                         "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
	"1 MB of text":                 strings.Repeat("text ", 200_000),
	"1 MB that looks like an host": strings.Repeat("a", 1_000_000),
}

func TestParseAddressReadsHostAndPort(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.7:8888":                  "10.0.0.7:8888",
		"10.0.0.7:8888\n":                "10.0.0.7:8888",
		"\t 10.0.0.7:8888 \r\n":          "10.0.0.7:8888",
		"10.0.0.7":                       "10.0.0.7:80",
		"10.0.0.7:1":                     "10.0.0.7:1",
		"10.0.0.7:65535":                 "10.0.0.7:65535",
		"10.0.0.7:0080":                  "10.0.0.7:80",
		"hello.default":                  "hello.default:80",
		"Hello.Default.SVC:8888":         "hello.default.svc:8888",
		"hello.default.svc.local.:8888":  "hello.default.svc.local.:8888",
		"my_function-1:8888":             "my_function-1:8888",
		"[2001:db8::1]:8888":             "[2001:db8::1]:8888",
		"[2001:DB8:0::1]":                "[2001:db8::1]:80",
		"[::1]:8888":                     "[::1]:8888",
		"localhost":                      "localhost:80",
		strings.Repeat("a", 63) + ".b:9": strings.Repeat("a", 63) + ".b:9",
	} {
		if got, err := executor.ParseAddress(in); got != want || err != nil {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestParseAddressRefusesWhatIsNone(t *testing.T) {
	for name, in := range badAddresses {
		got, err := executor.ParseAddress(in)
		if got != "" || !errors.Is(err, executor.ErrBadAddress) {
			t.Errorf("%s: ParseAddress(%.40q) = %q, %v; want ErrBadAddress", name, in, got, err)
			continue
		}
		if len(err.Error()) > 500 {
			t.Errorf("%s: the error has %d bytes; want it short", name, len(err.Error()))
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range badAddresses {
		f.Add(s[:min(len(s), 1000)])
	}
	f.Add("10.0.0.7:8888\n")
	f.Add("[2001:db8::1]")
	f.Add("hello.default.:80")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := executor.ParseAddress(s)
		if err != nil {
			if got != "" || !errors.Is(err, executor.ErrBadAddress) {
				t.Errorf("ParseAddress(%q) = %q, %v; want \"\" and ErrBadAddress", s, got, err)
			}
			return
		}
		host, port, err := net.SplitHostPort(got)
		if err != nil || host == "" || port == "" || strings.ContainsAny(got, "/ \t\r\n?#@%\\<>") {
			t.Errorf("ParseAddress(%q) = %q: no host and port to dial (%v)", s, got, err)
		}
		if again, err := executor.ParseAddress(got); again != got || err != nil {
			t.Errorf("ParseAddress(%q) = %q, which reads back as %q, %v", s, got, again, err)
		}
	})
}
