package kubefaas_test

import (
	"go/ast"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pageOf is the page in docs/ on which the options of a type are. A type with
// JSON members that is not here fails the test.
var pageOf = map[string]string{
	"App": "app.md", "FunctionConfig": "app.md", "Retry": "app.md", "AnalyticsConfig": "app.md",
	"Handler": "handler.md", "Trigger": "handler.md", "WeightedFunction": "handler.md", "Sticky": "handler.md",
	"FunctionRef": "handler.md",
	"Upstreams":   "upstreams.md", "Transport": "transport.md",
	"HTTPExecutor":    "executor-http.md",
	"ProcessExecutor": "executor-process.md", "ProcessFunction": "executor-process.md",
	"ProcessReady": "executor-process.md", "ProcessInstances": "executor-process.md",
	"StaticExecutor": "executor-static.md", "StaticFunction": "executor-static.md",
	"functionView": "admin.md", "addressView": "admin.md", "triggerView": "admin.md", "weightedView": "admin.md",
	"matchRequest": "admin.md", "matchView": "admin.md", "stepView": "admin.md",
	"problem": "failures.md",
}

// parsersOf are functions without a receiver that read a type's options.
var parsersOf = map[string]string{"unmarshalRetry": "Retry"}

func TestEveryOptionIsOnItsPage(t *testing.T) {
	for path, file := range sources(t) {
		for of, words := range optionWords(file) {
			checkWords(t, path, of, words)
		}
		for _, f := range optionFields(file) {
			checkWords(t, path, f.of, []string{f.name})
			checkDefault(t, f)
		}
	}
}

func checkWords(t *testing.T, path, of string, words []string) {
	t.Helper()
	name := pageOf[of]
	if name == "" {
		t.Errorf("%s: no page is known for the options of %s", path, of)
		return
	}
	page := docsPage(t, name)
	for _, word := range words {
		if !regexp.MustCompile("`" + regexp.QuoteMeta(word) + "[` ]").MatchString(page) {
			t.Errorf("docs/%s: it does not say what `%s` is (%s, %s)", name, word, of, path)
		}
	}
}

// optionWords are the subdirectives of a file by the type that has them: the
// keys of its literals of type words.
func optionWords(file *ast.File) map[string][]string {
	found := make(map[string][]string)
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		of := parsersOf[fn.Name.Name]
		if fn.Recv != nil {
			if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
				of = star.X.(*ast.Ident).Name
			}
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if id, ok := lit.Type.(*ast.Ident); !ok || id.Name != "words" {
				return true
			}
			for _, e := range lit.Elts {
				found[of] = append(found[of], text(e.(*ast.KeyValueExpr).Key))
			}
			return true
		})
	}
	return found
}

// optionField is a member of a type that JSON has.
type optionField struct {
	of, name, doc string
}

// optionFields are the JSON members of a file's types.
func optionFields(file *ast.File) []optionField {
	var found []optionField
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range fields.Fields.List {
			if f.Tag == nil {
				continue
			}
			name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
			if name != "" && name != "-" {
				found = append(found, optionField{spec.Name.Name, name, f.Doc.Text()})
			}
		}
		return false
	})
	return found
}

var fieldDefault = regexp.MustCompile("Default:\\s`([^`]+)`")

// checkDefault wants the default that a field's comment states in the row of
// the option, where it has one.
func checkDefault(t *testing.T, f optionField) {
	t.Helper()
	m := fieldDefault.FindStringSubmatch(f.doc)
	if m == nil || pageOf[f.of] == "" {
		return
	}
	rows := regexp.MustCompile("(?m)^\\| `"+regexp.QuoteMeta(f.name)+"` \\|.*$").FindAllString(docsPage(t, pageOf[f.of]), -1)
	if len(rows) > 0 && !slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, "`"+m[1]+"`") }) {
		t.Errorf("docs/%s: got %q for %s.%s, want its default `%s` there", pageOf[f.of], rows, f.of, f.name, m[1])
	}
}
