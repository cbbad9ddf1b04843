package kubefaas_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// sources are this package's files, but for the tests.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]*ast.File)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = file
	}
	return files
}

// text is the value of a string literal.
func text(e ast.Expr) string {
	lit, ok := e.(*ast.BasicLit)
	if !ok {
		return ""
	}
	s, _ := strconv.Unquote(lit.Value)
	return s
}

func docsPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func docsPaths(t *testing.T, patterns ...string) []string {
	t.Helper()
	var paths []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: found %d files (%v), want some", pattern, len(found), err)
		}
		paths = append(paths, found...)
	}
	return paths
}

func TestSyntaxInDocsIsTheSources(t *testing.T) {
	source := make(map[string]string)
	for path, file := range sources(t) {
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if _, text, ok := strings.Cut(fn.Doc.Text(), "Syntax:\n\n"); ok {
				source[syntaxBlock(text)] = path
			}
		}
	}
	documented := make(map[string]string)
	block := regexp.MustCompile("(?ms)^```syntax\n(.*?)^```$")
	for _, path := range docsPaths(t, "docs/*.md") {
		for _, m := range block.FindAllStringSubmatch(docsPage(t, filepath.Base(path)), -1) {
			documented[m[1]] = path
		}
	}
	for text, path := range source {
		if documented[text] == "" {
			t.Errorf("%s: no page of docs/ has the syntax\n%s", path, text)
		}
	}
	for text, path := range documented {
		if source[text] == "" {
			t.Errorf("%s: no comment in the source has the syntax\n%s", path, text)
		}
	}
}

// syntaxBlock is the indented text at the beginning of a comment's rest.
func syntaxBlock(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, indented := strings.CutPrefix(line, "\t")
		if !indented {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

func TestEveryFailureIsDocumented(t *testing.T) {
	known := make(map[string]bool)
	for _, d := range sources(t)["failures.go"].Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, s := range decl.Specs {
			if spec := s.(*ast.ValueSpec); strings.HasPrefix(spec.Names[0].Name, "reason") {
				known[text(spec.Values[0])] = true
			}
		}
	}
	if len(known) == 0 {
		t.Fatal("found no reasons in failures.go")
	}
	documented := make(map[string]bool)
	table, _, _ := strings.Cut(docsPage(t, "failures.md"), "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| \\d{3}").FindAllStringSubmatch(table, -1) {
		documented[m[1]] = true
	}
	if !reflect.DeepEqual(documented, known) {
		t.Errorf("docs/failures.md: got the reasons %v, want %v", documented, known)
	}
}

// What an operator of the v1.8 router has in hand, and what its importers have.
var v18Names = []string{
	"--routerPort", "--executorUrl",
	"ROUTER_ROUND_TRIP_TIMEOUT", "ROUTER_ROUNDTRIP_TIMEOUT_EXPONENT", "ROUTER_ROUND_TRIP_MAX_RETRIES",
	"ROUTER_SVC_ADDRESS_MAX_RETRIES", "ROUTER_SVC_ADDRESS_UPDATE_TIMEOUT",
	"ROUTER_ROUND_TRIP_KEEP_ALIVE_TIME", "ROUTER_ROUND_TRIP_DISABLE_KEEP_ALIVE",
	"DEBUG_ENV", "USE_ENCODED_PATH", "DISPLAY_ACCESS_LOG",
	"TRACING_SAMPLING_RATE", "TRACE_JAEGER_COLLECTOR_ENDPOINT", "ANALYTICS_URL",
	"relativeurl", "method", "host", "functionref",
	"FORWARDED", "X_FORWARDED_HOST", "HEADERS_KUBEFAAS_FUNCTION_PREFIX",
	"NewMutableRouter", "Start", "Analytics", "MakeAnalytics", "AnalyticsData",
	"FunctionWeightDistribution", "HTTPTriggerSet.ServeHTTP", "RetryingRoundTripper.RoundTrip",
}

func TestMigratingHasEveryNameOfV18(t *testing.T) {
	page := docsPage(t, "migrating.md")
	for _, name := range v18Names {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/migrating.md: it does not say what became of %s", name)
		}
	}
}
