package kubefaas_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/kubefaas/caddy-kubefaas"

const (
	backoffPath = "github.com/cenkalti/backoff/v4"
	zapPath     = "go.uber.org/zap"
)

// importArrow is: what each library package may import beside the
// standard library. A path stands for the packages below it as well, but of
// this module's only for itself. Packages at the arrow's root are not here:
// they may import Caddy and everything else.
var importArrow = map[string][]string{
	"function":              {},
	"route":                 {modulePath + "/function"},
	"retry":                 {backoffPath},
	"h1":                    {},
	"endpoint":              {modulePath + "/function", backoffPath},
	"executor":              {modulePath + "/function", backoffPath},
	"executor/executortest": {modulePath + "/function", modulePath + "/executor"},
	"executor/process":      {modulePath + "/function", backoffPath, zapPath},
	"invoke":                {modulePath + "/function", modulePath + "/endpoint", modulePath + "/retry", modulePath + "/h1"},
}

// testsMay is what tests of a library package may import beyond the arrow.
var testsMay = map[string][]string{
	"executor": {modulePath + "/executor/executortest"},
}

// arrowRoots are the packages at the arrow's root, with those below them.
var arrowRoots = []string{".", "bench", "caddytest", "cmd", "examples", "tools"}

func TestLibraryPackagesImportOnlyAlongTheArrow(t *testing.T) {
	seen := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if top, _, _ := strings.Cut(pkg, "/"); slices.Contains(arrowRoots, top) {
			return nil
		}
		may, known := importArrow[pkg]
		if !known {
			t.Errorf("package %s is not on the import arrow: say in this test what it may import", pkg)
			return filepath.SkipDir
		}
		seen[pkg] = true
		if strings.HasSuffix(path, "_test.go") {
			may = slices.Concat(may, testsMay[pkg], []string{modulePath + "/" + pkg})
		}
		checkImports(t, path, may)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range importArrow {
		if _, err := os.Stat(pkg); !seen[pkg] {
			t.Errorf("package %s is on the import arrow and has no Go file (%v)", pkg, err)
		}
	}
}

// checkImports looks at a file whatever system it is for.
func checkImports(t *testing.T, path string, may []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
			continue // the standard library
		}
		allowed := slices.ContainsFunc(may, func(p string) bool {
			below := !strings.HasPrefix(p, modulePath) && strings.HasPrefix(imported, p+"/")
			return imported == p || below
		})
		if !allowed {
			t.Errorf("%s imports %s, want only the standard library and %q", path, imported, may)
		}
	}
}
