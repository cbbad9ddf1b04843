package kubefaas

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// FuzzCaddyfile reads the same text as each module's segment. No parser panics;
// what one accepts can be written as JSON, read back strictly, and is the same.
// The words of transport http are Caddy's own parser's and may open files, so
// that they are left out.
func FuzzCaddyfile(f *testing.F) {
	paths, err := filepath.Glob("caddytest/adapt/*.caddyfiletest")
	if err != nil || len(paths) == 0 {
		f.Fatalf("found %d golden files (%v), want some", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		site, _, _ := strings.Cut(string(text), "----------\n")
		if at := strings.Index(site, "kubefaas"); at >= 0 {
			f.Add(strings.TrimSuffix(strings.TrimSpace(site[at:]), "}"))
		}
	}
	f.Add("static {\n\ta/b 127.0.0.1:1 h\n}")
	f.Add("process {\n\tfunction a {\n\t\tcommand x\n\t\tenv A B\n\t\tinstances 0 2\n\t}\n}")
	f.Add("http https://a {\n\tapi v1\n\ttls\n}")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "tls") || strings.Contains(text, "file") {
			return
		}
		for _, fresh := range []func() caddyfile.Unmarshaler{
			func() caddyfile.Unmarshaler { return new(App) },
			func() caddyfile.Unmarshaler { return new(Handler) },
			func() caddyfile.Unmarshaler { return new(Upstreams) },
			func() caddyfile.Unmarshaler { return new(HTTPExecutor) },
			func() caddyfile.Unmarshaler { return new(StaticExecutor) },
			func() caddyfile.Unmarshaler { return new(ProcessExecutor) },
		} {
			tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
			if err != nil || len(tokens) == 0 {
				return
			}
			roundTrip(t, text, fresh, caddyfile.NewDispenser(tokens))
		}
	})
}

func roundTrip(t *testing.T, text string, fresh func() caddyfile.Unmarshaler, d *caddyfile.Dispenser) {
	m := fresh()
	if err := m.UnmarshalCaddyfile(d); err != nil {
		if !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%T: got error %q of %q, want it to say where", m, err, text)
		}
		return
	}
	first, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("%T: %q was accepted, but is no JSON: %v", m, text, err)
	}
	again := fresh()
	if err := caddy.StrictUnmarshalJSON(first, again); err != nil {
		t.Fatalf("%T: %q was accepted, but its JSON %s is not: %v", m, text, first, err)
	}
	if second, err := json.Marshal(again); err != nil || string(second) != string(first) {
		t.Errorf("%T: got %s, %v of %q, want %s again", m, second, err, text, first)
	}
}
