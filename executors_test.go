package kubefaas

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
)

// counting is a server that counts what comes to it.
func counting(t *testing.T) (url string, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func TestValidateCallsNobody(t *testing.T) {
	url, calls := counting(t)
	app := fmt.Sprintf(`{"executor": {"executor": "http", "url": %q}, "analytics": {"url": %q, "interval": "1ms"}, "tap_interval": "1ms"}`, url, url)
	handler := `{"handler": "kubefaas", "health": true, "triggers": [{"path": "/hello", "functions": [{"name": "hello"}]}]}`
	if err := validateJSON(t, app, handler); err != nil {
		t.Fatal(err)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("got %d calls, want none", n)
	}
}

func TestValidateStartsNoProgram(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "started")
	app := fmt.Sprintf(`{"executor": {"executor": "process", "functions": [{"name": "hello", "command": ["sh", "-c", "echo > %s; sleep 60"], "instances": {"min": 1, "max": 2}}]}}`, mark)
	if err := validateJSON(t, app, `{"handler": "kubefaas", "function": "hello"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Errorf("got %v, want that the program was not started", err)
	}
}

func TestPlaceholdersInAProgram(t *testing.T) {
	t.Setenv("KUBEFAAS_TEST_DIR", "/srv")
	t.Setenv("KUBEFAAS_TEST_UNSET", "")
	f := ProcessFunction{
		Name: "hello", Dir: "{env.KUBEFAAS_TEST_DIR}/functions",
		Command: []string{"sh", "-c", `serve --port ${PORT} --dir {env.KUBEFAAS_TEST_DIR} | awk '{print $1}'`},
		Env:     map[string]string{"B": "{env.KUBEFAAS_TEST_DIR}", "A": `{"a": 1}`, "C": "{env.KUBEFAAS_TEST_UNSET}"},
	}
	spec, err := f.spec()
	if err != nil {
		t.Fatal(err)
	}
	if want := `serve --port ${PORT} --dir /srv | awk '{print $1}'`; spec.Command[2] != want {
		t.Errorf("got command %q, want %q", spec.Command[2], want)
	}
	if spec.Dir != "/srv/functions" {
		t.Errorf("got dir %q, want /srv/functions", spec.Dir)
	}
	if want := []process.EnvVar{{Key: "A", Value: `{"a": 1}`}, {Key: "B", Value: "/srv"}, {Key: "C", Value: ""}}; !slices.Equal(spec.Env, want) {
		t.Errorf("got env %q, want %q", spec.Env, want)
	}
}

func TestRevisionOfTheStaticExecutorChangesWithTheFunctionAlone(t *testing.T) {
	before := &StaticExecutor{Functions: []StaticFunction{{Name: "a", Addresses: []string{"x:1"}}, {Name: "b", Addresses: []string{"x:2"}}}}
	after := &StaticExecutor{Functions: []StaticFunction{{Name: "a", Addresses: []string{"x:1"}}, {Name: "b", Addresses: []string{"x:3"}}}}
	a, b := refOf("", "a"), refOf("", "b")
	if before.Revision(a) != after.Revision(a) {
		t.Errorf("got %q and %q for a function whose address stayed, want the same", before.Revision(a), after.Revision(a))
	}
	if before.Revision(b) == after.Revision(b) {
		t.Errorf("got %q twice for a function whose address changed, want two", before.Revision(b))
	}
	if !before.Knows(a) || before.Knows(refOf("prod", "a")) {
		t.Errorf("got %v, %v; want that it knows default/a and not prod/a", before.Knows(a), before.Knows(refOf("prod", "a")))
	}
}
