package caddytest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// modulePages are the pages of docs/ that have the parts of docsParts, in this
// order. A page that is not here and begins with "Module" fails the test.
var modulePages = []string{
	"admin.md", "app.md", "executor-http.md", "executor-process.md", "executor-static.md",
	"handler.md", "transport.md", "upstreams.md",
}

var docsParts = []string{
	"## Summary", "## Syntax", "## Caddyfile", "## JSON equivalent", "## Metrics", "## What can go wrong",
}

var (
	caddyfileBlock = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	jsonBlock      = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")
	fencedBlock    = regexp.MustCompile("(?ms)^```.*?^```$")
	siteLine       = regexp.MustCompile(`^\S*[:.]\S* \{$`)
	markdownLink   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading        = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// docsPages are the pages of docs/ by name.
func docsPages(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil || len(paths) == 0 {
		t.Fatalf("found %d pages in docs/ (%v), want some", len(paths), err)
	}
	pages := make(map[string]string)
	for _, path := range paths {
		pages[filepath.Base(path)] = readExample(t, path)
	}
	return pages
}

// wholeCaddyfile makes a file of what the documentation shows. A block that
// begins with "{" or with a site's address is one already; everything else is
// a part of a site.
func wholeCaddyfile(block string) string {
	first, _, _ := strings.Cut(block, "\n")
	if first == "{" || siteLine.MatchString(first) {
		return block
	}
	return ":80 {\n" + block + "}\n"
}

func TestCaddyfilesInDocsAreValid(t *testing.T) {
	pages := docsPages(t)
	pages["../README.md"] = readExample(t, "../README.md")
	t.Setenv("EXECUTOR_SECRET", "of a test")
	t.Chdir(t.TempDir()) // some write their log to a file
	for name, text := range pages {
		for i, m := range caddyfileBlock.FindAllStringSubmatch(text, -1) {
			t.Run(fmt.Sprintf("%s %d", name, i+1), func(t *testing.T) {
				if got := string(caddyfile.Format([]byte(m[1]))); got != m[1] {
					t.Errorf("it is not as `caddy fmt` writes it; want\n%s", got)
				}
				config, err := Adapt(name, wholeCaddyfile(m[1]))
				if err != nil {
					t.Fatal(err)
				}
				if err := Validate(t, config); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestModulePagesHaveTheirParts(t *testing.T) {
	for name, text := range docsPages(t) {
		_, rest, _ := strings.Cut(text, "\n\n")
		if !slices.Contains(modulePages, name) {
			if strings.HasPrefix(rest, "Module `") {
				t.Errorf("docs/%s is a module's page that the test does not know", name)
			}
			continue
		}
		at := 0
		for _, part := range docsParts {
			i := strings.Index(text[at:], "\n"+part+"\n")
			if i < 0 {
				t.Fatalf("docs/%s: there is no %q behind the part before it", name, part)
			}
			at += i
		}
	}
}

func TestJSONInDocsIsWhatTheCaddyfilesBecome(t *testing.T) {
	pages := docsPages(t)
	for _, name := range modulePages {
		blocks := jsonBlock.FindAllStringSubmatch(pages[name], -1)
		if len(blocks) == 0 {
			t.Errorf("docs/%s: it has no JSON", name)
		}
		for _, m := range blocks {
			var want any
			if err := json.Unmarshal([]byte(m[1]), &want); err != nil {
				t.Errorf("docs/%s: %v in\n%s", name, err, m[1])
				continue
			}
			if !anyCaddyfileBecomes(t, name, pages[name], want) {
				t.Errorf("docs/%s: no Caddyfile there becomes\n%s", name, m[1])
			}
		}
	}
}

// anyCaddyfileBecomes says whether a page has a Caddyfile of whose JSON want
// is a part.
func anyCaddyfileBecomes(t *testing.T, name, page string, want any) bool {
	t.Helper()
	for _, m := range caddyfileBlock.FindAllStringSubmatch(page, -1) {
		config, err := Adapt(name, wholeCaddyfile(m[1]))
		if err != nil {
			t.Fatalf("docs/%s: %v", name, err)
		}
		var got any
		if err := json.Unmarshal(config, &got); err != nil {
			t.Fatal(err)
		}
		if contains(got, want) {
			return true
		}
	}
	return false
}

// contains says whether want is somewhere in a decoded JSON value: as a value,
// or as some members of an object.
func contains(got, want any) bool {
	if reflect.DeepEqual(got, want) {
		return true
	}
	switch got := got.(type) {
	case map[string]any:
		if members, ok := want.(map[string]any); ok && hasMembers(got, members) {
			return true
		}
		for _, v := range got {
			if contains(v, want) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(got, func(v any) bool { return contains(v, want) })
	}
	return false
}

func hasMembers(got, want map[string]any) bool {
	for name, v := range want {
		if !reflect.DeepEqual(got[name], v) {
			return false
		}
	}
	return len(want) > 0
}

func TestLinksInDocsResolve(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../examples/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		text := fencedBlock.ReplaceAllString(readExample(t, path), "")
		for _, m := range markdownLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			checkLink(t, path, m[1])
		}
	}
}

func checkLink(t *testing.T, from, link string) {
	t.Helper()
	file, anchor, hasAnchor := strings.Cut(link, "#")
	path := from
	if file != "" {
		path = filepath.Join(filepath.Dir(from), file)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("%s: the link %s leads nowhere: %v", from, link, err)
		return
	}
	if hasAnchor && !slices.Contains(anchors(readExample(t, path)), anchor) {
		t.Errorf("%s: %s has no heading for the link %s", from, path, link)
	}
}

// anchors are the names by which GitHub links to a page's headings.
func anchors(page string) []string {
	var names []string
	dropped := regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	for _, m := range heading.FindAllStringSubmatch(fencedBlock.ReplaceAllString(page, ""), -1) {
		name := dropped.ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}
