package function

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]Ref{
		"hello":           {"default", "hello"},
		"prod/hello":      {"prod", "hello"},
		"a.b-c_d/E9":      {"a.b-c_d", "E9"},
		"default/default": {"default", "default"},
	} {
		got, err := ParseRef(in)
		if err != nil || got != want {
			t.Errorf("ParseRef(%q) = %v, %v; want %v", in, got, err, want)
		}
		if again, err := ParseRef(got.String()); err != nil || again != got {
			t.Errorf("ParseRef(%q) = %v, %v; want it to read what String wrote", got, again, err)
		}
	}
}

func TestParseRefRefusesWhatIsNoName(t *testing.T) {
	for _, in := range []string{"", "prod/", "/hello", "a/b/c", "he llo", "hello\n", "héllo", ".", "..", "../hello", "a/..", "{x}", "a/" + strings.Repeat("x", 254)} {
		if got, err := ParseRef(in); err == nil {
			t.Errorf("ParseRef(%q) = %v; want an error", in, got)
		}
	}
	if _, err := ParseRef("prod/"); !errors.Is(err, ErrNoName) {
		t.Errorf("ParseRef(\"prod/\") = %v; want ErrNoName", err)
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("prod/hello")
	f.Add("/")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRef(s)
		if err != nil {
			return
		}
		if again, err := ParseRef(r.String()); err != nil || again != r {
			t.Errorf("ParseRef(%q) = %v, which reads back as %v, %v", s, r, again, err)
		}
	})
}
