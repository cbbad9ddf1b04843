package kubefaas

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// words are a block's subdirectives. Each parser starts at its word.
type words map[string]func(*caddyfile.Dispenser) error

// parseBlock reads the block behind the present token, if there is one. An
// unknown word is an error, and so is a repeated one unless it is named as
// repeatable.
func parseBlock(d *caddyfile.Dispenser, ws words, repeatable ...string) error {
	seen := make(map[string]bool, len(ws))
	before := d.Val()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		parse, known := ws[word]
		switch {
		case word == "{":
			return d.Errf("%s takes no block", before)
		case !known:
			return d.Errf("unrecognized subdirective %q", word)
		case seen[word] && !slices.Contains(repeatable, word):
			return d.Errf("%s stands twice", word)
		}
		seen[word], before = true, word
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// located adds file and line to an error, if there is one.
func located(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

// one parses a word with exactly one argument.
func one[T any](dst *T, parse func(string) (T, error)) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		var s string
		word := d.Val()
		if !d.AllArgs(&s) {
			return d.ArgErr()
		}
		v, err := parse(s)
		if err != nil {
			return d.Errf("%s: %v", word, err)
		}
		*dst = v
		return nil
	}
}

// some parses a word with at least one argument.
func some(dst *[]string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if *dst = d.RemainingArgs(); len(*dst) == 0 {
			return d.ArgErr()
		}
		return nil
	}
}

// flag parses a word without arguments.
func flag(dst *bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if d.NextArg() {
			return d.ArgErr()
		}
		*dst = true
		return nil
	}
}

// text reads anything. Empty text is refused: in JSON it would mean the
// default, and mostly it is an environment variable that is not set.
func text(s string) (string, error) {
	if s == "" {
		return "", errors.New("the argument is empty")
	}
	return s, nil
}

func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return n, nil
}

func decimal(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return f, nil
}

func duration(s string) (caddy.Duration, error) {
	d, err := caddy.ParseDuration(s)
	return caddy.Duration(d), err
}

// positive reads a duration above zero: where zero would mean the default in
// JSON, a Caddyfile that spells it out is a mistake.
func positive(s string) (caddy.Duration, error) {
	d, err := duration(s)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%s is not above zero", s)
	}
	return d, err
}

// count reads a whole number above zero.
func count(s string) (int, error) {
	n, err := number(s)
	if err == nil && n <= 0 {
		err = fmt.Errorf("%d is not above zero", n)
	}
	return n, err
}

// size reads a size above zero.
func size(s string) (Size, error) {
	n, err := parseSize(s)
	if err == nil && n <= 0 {
		err = fmt.Errorf("%s is not above zero", s)
	}
	return n, err
}

// headerWord reads a word that may stand in a header's name.
func headerWord(s string) (string, error) {
	if !isHeaderWord(s) {
		return "", fmt.Errorf("%q is not a word that a header's name may contain", s)
	}
	return s, nil
}

// oneOf reads a word that is one of a few; what says what kind of thing it is.
func oneOf(what string, options ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(options, s) {
			return "", fmt.Errorf("unknown %s %q: it is one of %s", what, s, strings.Join(options, ", "))
		}
		return s, nil
	}
}
