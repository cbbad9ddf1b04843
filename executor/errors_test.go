package executor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestErrorClasses(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	broken := errors.New("connection refused")
	type classes struct{ temporary, unavailable, notFound, capacity, badAddress bool }
	for name, tc := range map[string]struct {
		err  *Error
		want classes
	}{
		"400":                     {&Error{Status: 400}, classes{}},
		"404":                     {&Error{Status: 404}, classes{notFound: true}},
		"429":                     {&Error{Status: 429}, classes{capacity: true}},
		"499":                     {&Error{Status: 499}, classes{}},
		"500":                     {&Error{Status: 500}, classes{}},
		"501":                     {&Error{Status: 501}, classes{}},
		"502":                     {&Error{Status: 502}, classes{temporary: true}},
		"503":                     {&Error{Status: 503}, classes{temporary: true}},
		"504":                     {&Error{Status: 504}, classes{temporary: true}},
		"no connection":           {transportError(t.Context(), CallAddress, broken), classes{temporary: true, unavailable: true}},
		"the caller left":         {transportError(ended, CallAddress, broken), classes{}},
		"canceled, by a stand-in": {&Error{Err: context.Canceled}, classes{}},
		"no address in a 200":     {&Error{Status: 200, Err: ErrBadAddress}, classes{badAddress: true}},
		"no address, no HTTP":     {&Error{Err: ErrBadAddress}, classes{badAddress: true}},
	} {
		e := tc.err
		got := classes{e.Temporary(), e.Unavailable(), e.NotFound(), e.Capacity(), e.BadAddress()}
		if got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
	if err := transportError(ended, CallAddress, broken); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller left: got %v, want it to wrap context.Canceled", err)
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"7":                             7 * time.Second,
		"-7":                            0,
		"7.5":                           0,
		"soon":                          0,
		"4294967295":                    24 * time.Hour,
		"99999999999999999999":          0,
		"Sun, 01 Mar 2026 12:00:30 GMT": 30 * time.Second,
		"Sun, 01 Mar 2026 11:59:30 GMT": 0,
		"Mon, 01 Mar 2027 12:00:00 GMT": 24 * time.Hour,
	} {
		if got := parseRetryAfter(in, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestPlainTextIsFitForALogLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"no such function\n":            "no such function",
		"a\r\nb\x00c\x1b[31md\tend":     "a b c [31md end",
		"bad \xff byte":                 "bad byte",
		"h\u00e9llo \u2028 w\u200bo":    "h\u00e9llo w o",
		strings.Repeat("x", 2000):       strings.Repeat("x", 1024),
		strings.Repeat("x", 1023) + "é": strings.Repeat("x", 1023),
	} {
		if got := plainText([]byte(in)); got != want {
			t.Errorf("plainText(%.40q) = %.40q, want %.40q", in, got, want)
		}
	}
}

func FuzzPlainText(f *testing.F) {
	f.Add([]byte("no such function\n"))
	f.Add([]byte("\xff\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := plainText(body)
		if len(got) > maxText || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("plainText(%q) = %q: too long, not UTF-8, or with control characters", body, got)
		}
	})
}
