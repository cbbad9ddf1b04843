package kubefaas

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

// adaptText adapts a Caddyfile.
func adaptText(text string) (string, error) {
	out, _, err := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}.Adapt([]byte(text), nil)
	return string(out), err
}

// handlerOf is the handler of a Caddyfile with one site whose only directive
// it is.
func handlerOf(t *testing.T, text string) *Handler {
	t.Helper()
	out, err := adaptText(text)
	if err != nil {
		t.Fatal(err)
	}
	var cfg struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct{ Routes []struct{ Handle []*Handler } }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &cfg); err != nil {
		t.Fatal(err)
	}
	return cfg.Apps.HTTP.Servers["srv0"].Routes[0].Handle[0]
}

// shorthands are all that the Caddyfile adapter would replace, as its own
// replacer has them: the plain ones, and an example of each that ends in a word
// of the user's.
func shorthands(t *testing.T) (plain, open []string) {
	t.Helper()
	replacer := reflect.ValueOf(httpcaddyfile.NewShorthandReplacer())
	pairs := replacer.FieldByName("simple").Elem().FieldByName("oldnew")
	for i := 0; i < pairs.Len(); i += 2 {
		plain = append(plain, pairs.Index(i).String())
	}
	patterns := replacer.FieldByName("complex")
	for i := range patterns.Len() {
		expr := patterns.Index(i).FieldByName("search").Elem().FieldByName("expr").String()
		name, _, ok := strings.Cut(expr, `\.`)
		if !ok {
			t.Fatalf("got the shorthand pattern %s, want one of the form {name\\.…}", expr)
		}
		open = append(open, name+".word-1}")
	}
	if len(plain) < 35 || len(open) < 12 || !slices.Contains(plain, "{client_ip}") {
		t.Fatalf("found %d and %d shorthands, %q, %q; want all that Caddy has", len(plain), len(open), plain, open)
	}
	return plain, open
}

func TestPathVariablesNamedLikeShorthandsReachThePattern(t *testing.T) {
	plain, open := shorthands(t)
	name := regexp.MustCompile(`^\{[a-z][a-z0-9_]*\}$`)
	valid := 0
	for _, short := range append(plain, open...) {
		path := "/before-" + short + "/" + short[:len(short)-1] + "_x}/{id:[0-9]{2}}"
		text := ":80 {\n\tkubefaas {\n\t\ttrigger " + path + " hello\n\t}\n}\n"
		if !name.MatchString(short) {
			// It can be no variable's name; the message shows it as it was written.
			_, err := adaptText(text)
			wantError(t, err, strings.Trim(short, "{}"))
			if strings.Contains(err.Error(), "http.") {
				t.Errorf("%s: got error %q, want it to say what was written", short, err)
			}
			continue
		}
		valid++
		if got := handlerOf(t, text).Triggers[0].Path; got != path {
			t.Errorf("%s: got path %s, want %s", short, got, path)
		}
	}
	if valid < 30 {
		t.Errorf("tried %d shorthands that may be variables, want most", valid)
	}
}

func TestShorthandsAreRestoredAlone(t *testing.T) {
	for in, want := range map[string]string{
		"/{http.request.host}":               "/{host}",
		"/{http.request.uri.path.file.base}": "/{file.base}",
		"/{http.request.uri.path.0}":         "/{path.0}",
		"/{http.request.uri.path.dir}":       "/{dir}",
		"/{http.unknown}":                    "/{http.unknown}",
		"/{id}/{path:.+}/{n:[0-9]{2}}":       "/{id}/{path:.+}/{n:[0-9]{2}}",
		"/{http.request.host":                "/{http.request.host",
		"":                                   "",
	} {
		if got := restoreShorthands(in); got != want {
			t.Errorf("restoreShorthands(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAHostsPlaceholderNeedNotBeSetWhereItIsAdapted(t *testing.T) {
	h := handlerOf(t, ":80 {\n\tkubefaas {\n\t\ttrigger / a {\n\t\t\thost {env.KUBEFAAS_TEST_A} *.{env.KUBEFAAS_TEST_B}\n\t\t}\n\t\ttrigger / b {\n\t\t\thost {env.KUBEFAAS_TEST_C}\n\t\t}\n\t}\n}\n")
	if got, want := h.Triggers[0].Hosts, []string{"{env.KUBEFAAS_TEST_A}", "*.{env.KUBEFAAS_TEST_B}"}; !slices.Equal(got, want) {
		t.Errorf("got hosts %q, want %q", got, want)
	}
	t.Setenv("KUBEFAAS_TEST_A", "a.example.com")
	hosts, err := (&Trigger{Hosts: []string{"{env.KUBEFAAS_TEST_A}"}}).hosts()
	if err != nil || !slices.Equal(hosts, []string{"a.example.com"}) {
		t.Errorf("got %q, %v; want the variable's value", hosts, err)
	}
}

func TestTheSameHostPlaceholderStillConflicts(t *testing.T) {
	_, err := adaptText(":80 {\n\tkubefaas {\n\t\ttrigger / a {\n\t\t\thost {env.A}\n\t\t}\n\t\ttrigger / b {\n\t\t\thost {env.A}\n\t\t}\n\t}\n}\n")
	wantError(t, err, "claims the same")
}

// A name becomes an @id, of which Caddy allows one over all handlers; a new
// adaptation begins anew.
func TestNamesAreFreeAgainInTheNextAdaptation(t *testing.T) {
	for range 2 {
		handlerOf(t, ":80 {\n\tkubefaas {\n\t\ttrigger / a {\n\t\t\tname shop\n\t\t}\n\t}\n}\n")
	}
}

// syntaxBlocks are the grammars above the package's UnmarshalCaddyfile methods,
// by the receiver's type.
func syntaxBlocks(t *testing.T) map[string]string {
	t.Helper()
	blocks := make(map[string]string)
	for _, file := range sources(t) {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Name.Name != "UnmarshalCaddyfile" {
				continue
			}
			receiver := f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name
			_, syntax, ok := strings.Cut(f.Doc.Text(), "Syntax:\n")
			if !ok {
				t.Errorf("%s.UnmarshalCaddyfile has no Syntax: in its comment", receiver)
			}
			blocks[receiver] = syntax
		}
	}
	return blocks
}

// sources are the package's files without its tests.
func sources(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// parsedWords are the keys of all words maps in the package.
func parsedWords(t *testing.T) []string {
	var found []string
	for _, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if name, ok := literal.Type.(*ast.Ident); !ok || name.Name != "words" {
				return true
			}
			for _, element := range literal.Elts {
				word, err := strconv.Unquote(element.(*ast.KeyValueExpr).Key.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, word)
			}
			return true
		})
	}
	return found
}

func TestEveryWordStandsInTheGrammarAndTheOtherWayRound(t *testing.T) {
	parsed := parsedWords(t)
	written := make(map[string]bool)
	for receiver, syntax := range syntaxBlocks(t) {
		for line := range strings.SplitSeq(syntax, "\n") {
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if word == "" || strings.Trim(word, "}.<>[]") == "" || strings.HasPrefix(word, "[") || strings.HasPrefix(word, "<") {
				continue
			}
			written[word] = true
			if strings.HasPrefix(line, "\t\t") && !slices.Contains(parsed, word) {
				t.Errorf("%s: the grammar has %q, which nothing parses", receiver, word)
			}
		}
	}
	for _, word := range parsed {
		if !written[word] {
			t.Errorf("%q is parsed, but stands in no grammar", word)
		}
	}
	if len(parsed) < 50 {
		t.Errorf("found %d words, want all", len(parsed))
	}
}

// examples stand for the <words> of the grammars.
var examples = strings.NewReplacer(
	"<any option of transport http>", "dial_timeout 1s",
	"executor <name> ...", "executor process",
	"[<matcher>] ", "",
	"<duration>", "1s", "<interval>", "1h", "<size>", "1MiB", "<n>", "5", "<min>", "1", "<max>", "2",
	"<factor>", "1.5", "<fraction>", "0.1", "<weight>", "5", "<methods>", "GET,POST", "<path>", "/x", "<url>", "https://a.example",
	"<host...>", "a.example *.b.example", "<address...>", "127.0.0.1:1 127.0.0.1:2", "<args...>", "-a b",
	"<namespace>/", "prod/", "<name>", "hello", "<function>", "hello", "<uid>", "u", "<version>", "1", "<word>", "Acme", "<secret>", "s",
	"<program>", "./x", "<key>", "K", "<value>", "v",
)

// example makes a Caddyfile of a grammar: the first of its alternatives, with
// what is optional or without.
func example(syntax string, optional bool) string {
	var lines []string
	for line := range strings.Lines(syntax) {
		line = strings.TrimRight(line, "\n")
		if strings.TrimSpace(line) == "..." {
			continue
		}
		line, _, _ = strings.Cut(line, " | ")
		line = regexp.MustCompile(` \[<function> <weight>\]\.\.\.`).ReplaceAllString(line, map[bool]string{true: " other 5"}[optional])
		if !optional {
			line = strings.ReplaceAll(line, "[<namespace>/]", "")
		}
		line = examples.Replace(line)
		if !optional {
			for before := ""; before != line; {
				before, line = line, regexp.MustCompile(` ?\[[^\[\]]*\]`).ReplaceAllString(line, "")
			}
		}
		line = strings.NewReplacer("[", "", "]", "").Replace(line)
		line = regexp.MustCompile(`\|[a-z0-9_|]+`).ReplaceAllString(line, "")
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestEveryGrammarParses(t *testing.T) {
	modules := map[string]func() caddyfile.Unmarshaler{
		"App": func() caddyfile.Unmarshaler { return new(App) }, "Handler": func() caddyfile.Unmarshaler { return new(Handler) },
		"Upstreams": func() caddyfile.Unmarshaler { return new(Upstreams) }, "Transport": func() caddyfile.Unmarshaler { return new(Transport) },
		"HTTPExecutor": func() caddyfile.Unmarshaler { return new(HTTPExecutor) }, "StaticExecutor": func() caddyfile.Unmarshaler { return new(StaticExecutor) },
		"ProcessExecutor": func() caddyfile.Unmarshaler { return new(ProcessExecutor) },
	}
	blocks := syntaxBlocks(t)
	for receiver, syntax := range blocks {
		if modules[receiver] == nil {
			t.Errorf("the grammar of %s is not tried", receiver)
			continue
		}
		for _, optional := range []bool{true, false} {
			text := strings.TrimSpace(example(syntax, optional))
			// The words before a module's own name are read by whoever loads it.
			for _, outer := range []string{"executor ", "dynamic ", "transport "} {
				text = strings.TrimPrefix(text, outer)
			}
			m := modules[receiver]()
			if err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
				t.Errorf("%s: got error %v of\n%s", receiver, err, text)
				continue
			}
			if out, err := json.Marshal(m); err != nil || len(out) < 10 {
				t.Errorf("%s: got JSON %s, %v of\n%s", receiver, out, err, text)
			}
		}
	}
	if len(blocks) != len(modules) {
		t.Errorf("found %d grammars, want %d", len(blocks), len(modules))
	}
}
