package kubefaas_test

import (
	"encoding/json"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metric is a collector of metrics.go.
type metric struct {
	kind   string // counter, histogram, gauge
	labels []string
}

// metricsOfSource are the collectors of metrics.go by name.
func metricsOfSource(t *testing.T) map[string]metric {
	t.Helper()
	file := sources(t)["metrics.go"]
	lists := make(map[string][]string) // package variables that are lists of labels
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.CompositeLit); ok {
				lists[spec.Names[0].Name] = texts(lit)
			}
		}
		return true
	})
	found := make(map[string]metric)
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		made, ok := call.Fun.(*ast.SelectorExpr)
		opts, isLit := call.Args[0].(*ast.CompositeLit)
		if !ok || !isLit {
			return true
		}
		m := metric{kind: regexp.MustCompile(`^new|vec$|func$`).ReplaceAllString(strings.ToLower(made.Sel.Name), "")}
		if len(call.Args) > 1 {
			switch labels := call.Args[1].(type) {
			case *ast.CompositeLit:
				m.labels = texts(labels)
			case *ast.Ident:
				m.labels = lists[labels.Name]
			}
		}
		for _, e := range opts.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Name" {
				found[text(kv.Value)] = m
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatal("found no collectors in metrics.go")
	}
	return found
}

// texts are the string literals of a list.
func texts(lit *ast.CompositeLit) []string {
	var list []string
	for _, e := range lit.Elts {
		if s := text(e); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// operating.md has a row for each metric, with its type and its labels.
func TestEveryMetricIsDocumented(t *testing.T) {
	page := docsPage(t, "operating.md")
	for name, m := range metricsOfSource(t) {
		row := regexp.MustCompile("(?m)^\\| `" + name + "` \\| (\\w+) \\|(.*?)\\|").FindStringSubmatch(page)
		if row == nil {
			t.Errorf("docs/operating.md: it has no row for %s", name)
			continue
		}
		if row[1] != m.kind {
			t.Errorf("docs/operating.md: %s is a %s, want %s", name, row[1], m.kind)
		}
		if want := labelsCell(m.labels); strings.TrimSpace(row[2]) != want {
			t.Errorf("docs/operating.md: %s has the labels %q, want %q", name, strings.TrimSpace(row[2]), want)
		}
	}
	all := "The labels of the first five are "
	_, rest, _ := strings.Cut(page, all)
	sentence, _, _ := strings.Cut(rest, "What only a request names")
	for _, label := range metricsOfSource(t)["kubefaas_function_calls_total"].labels {
		if !strings.Contains(sentence, "`"+label+"`") {
			t.Errorf("docs/operating.md: the label %s is not behind %q", label, all)
		}
	}
}

// labelsCell is how the table writes labels; the seven of a call are below it.
func labelsCell(labels []string) string {
	switch {
	case len(labels) == 0:
		return ""
	case len(labels) == 7:
		return "as below"
	}
	return "`" + strings.Join(labels, "`, `") + "`"
}

var (
	metricName = regexp.MustCompile(`\bkubefaas_[a-z_]*[a-z]\b`)
	selector   = regexp.MustCompile(`\b(kubefaas_[a-z_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	suffix     = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// logField is a name that only looks like a metric's.
const logField = "kubefaas_ms"

func TestDocumentedMetricsExist(t *testing.T) {
	known := metricsOfSource(t)
	for _, path := range docsPaths(t, "README.md", "docs/*.md", "docs/*.json") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(page), `\"`, `"`) // the dashboard's expressions
		for _, name := range metricName.FindAllString(text, -1) {
			if _, ok := lookUp(known, name); !ok && name != logField {
				t.Errorf("%s: there is no metric %s", path, name)
			}
		}
		for _, m := range selector.FindAllStringSubmatch(text, -1) {
			of, _ := lookUp(known, m[1])
			for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
				if label[1] != "le" && !slices.Contains(of.labels, label[1]) {
					t.Errorf("%s: %s has no label %s, only %v", path, m[1], label[1], of.labels)
				}
			}
		}
	}
}

// lookUp finds a metric by its name or, for a histogram, that of its series.
func lookUp(known map[string]metric, name string) (metric, bool) {
	if m, ok := known[name]; ok {
		return m, true
	}
	m, ok := known[suffix.ReplaceAllString(name, "")]
	return m, ok && m.kind == "histogram"
}

func TestDashboardShowsEveryMetric(t *testing.T) {
	file, err := os.ReadFile("docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(file, &dashboard); err != nil {
		t.Fatal(err)
	}
	known, shown := metricsOfSource(t), make(map[string]bool)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("panel %q: %q has no metric", p.Title, target.Expr)
				continue
			}
			shown[suffix.ReplaceAllString(names[0], "")] = true
			of, _ := lookUp(known, names[0])
			for _, m := range grouping.FindAllStringSubmatch(target.Expr, -1) {
				for label := range strings.SplitSeq(m[1], ", ") {
					if label != "le" && !slices.Contains(of.labels, label) {
						t.Errorf("panel %q: %s has no label %s, only %v", p.Title, names[0], label, of.labels)
					}
				}
			}
		}
	}
	for name := range known {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}
