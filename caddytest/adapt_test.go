package caddytest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// update rewrites the JSON of the golden files with what the adapter gives now.
// Expected errors are never rewritten: somebody has to mean them.
var update = flag.Bool("update", false, "rewrite the JSON in adapt/*.caddyfiletest")

const (
	goldenSeparator = "----------\n"
	errorPrefix     = "error: "
	// validateMark is the comment in a golden's Caddyfile that has its JSON
	// provisioned too.
	validateMark = "# validate"
)

// golden is one file of adapt/: a Caddyfile, a line of ten dashes, and either
// the JSON that it becomes or the error that refuses it.
//
// A file with an error is refused by the adapter, with file and line in the
// message, and the message contains each of the texts on lines "error: text".
// With the comment "# validate", the JSON is also provisioned as `caddy
// validate` does; an error is then one of provisioning, which knows no line.
type golden struct {
	path      string
	caddyfile string
	json      string
	errors    []string
	validate  bool
}

func TestAdaptGoldens(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("adapt", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("found %d golden files in adapt/ (%v), want some", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if filepath.Ext(path) != ".caddyfiletest" {
				t.Fatalf("%s is no .caddyfiletest; nothing would check it", path)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			g, problem := parseGolden(path, string(text))
			if problem != "" {
				t.Fatalf("%s: %s", path, problem)
			}
			g.check(t)
		})
	}
}

// parseGolden splits a golden file, and says what is wrong with one that would
// check nothing.
func parseGolden(path, text string) (g golden, problem string) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	caddyfile, want, ok := strings.Cut(text, goldenSeparator)
	if !ok || (caddyfile != "" && !strings.HasSuffix(caddyfile, "\n")) {
		return g, "no line of ten dashes between the Caddyfile and what it becomes"
	}
	g = golden{path: path, caddyfile: caddyfile}
	g.validate = slices.Contains(strings.Split(caddyfile, "\n"), validateMark)
	if !strings.HasPrefix(want, errorPrefix) {
		g.json = want
		if strings.TrimSpace(want) == "" && !*update {
			return g, "nothing after the dashes; run with -update to have the JSON written"
		}
		return g, ""
	}
	for line := range strings.Lines(want) {
		text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), errorPrefix)
		if !ok || text == "" {
			return g, "a line that is not \"error: text\" among the expected errors"
		}
		g.errors = append(g.errors, text)
	}
	return g, ""
}

func (g golden) check(t *testing.T) {
	name := strings.TrimSuffix(filepath.Base(g.path), "test")
	adapted, err := Adapt(name, g.caddyfile)
	if len(g.errors) > 0 && !g.validate {
		g.wantAdaptError(t, name, err)
		return
	}
	if err != nil {
		t.Fatalf("adapting: got error %v, want none", err)
	}
	if len(g.errors) > 0 {
		g.wantErrors(t, Validate(t, adapted))
		return
	}
	g.compare(t, adapted)
	if !g.validate {
		return
	}
	if err := Validate(t, adapted); err != nil {
		t.Errorf("provisioning: got error %v, want none", err)
	}
}

// wantAdaptError checks the message and that it names a line of the file.
func (g golden) wantAdaptError(t *testing.T, name string, err error) {
	t.Helper()
	g.wantErrors(t, err)
	if place := regexp.MustCompile(regexp.QuoteMeta(name) + `:\d+`); err != nil && !place.MatchString(err.Error()) {
		t.Errorf("got error %q, want %s and the line in it", err, name)
	}
}

func (g golden) wantErrors(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one with %q", g.errors)
	}
	for _, want := range g.errors {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %q, want %q in it", err, want)
		}
	}
}

func (g golden) compare(t *testing.T, adapted []byte) {
	t.Helper()
	var indented bytes.Buffer
	if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	got := indented.String() + "\n"
	if *update {
		if err := os.WriteFile(g.path, []byte(g.caddyfile+goldenSeparator+got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := strings.TrimRight(g.json, "\n") + "\n"; got != want {
		t.Errorf("got JSON\n%s\nwant\n%s", got, want)
	}
}

func TestGoldenFilesThatCheckNothingAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no dashes":              ":80\n",
		"nothing after":          ":80\n----------\n",
		"an error without text":  ":80\n----------\nerror: \n",
		"an error and then JSON": ":80\n----------\nerror: x\n{}\n",
	} {
		if _, problem := parseGolden("x", text); problem == "" {
			t.Errorf("%s: got no complaint, want one", name)
		}
	}
}
