package caddytest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// sited has several handlers, and things in front of them.
const sited = `{
	kubefaas {
		executor http {{.Executor}}
	}
}
&(shared) {
	kubefaas {
		trigger /shared/* admin-c
	}
}
http://a.test:{{.HTTP}} {
	kubefaas {
		trigger /x admin-a
		trigger POST / admin-a
		home
	}
}
http://b.test:{{.HTTP}} {
	rewrite /old /x
	handle_path /api/* {
		kubefaas {
			trigger /v/{name} admin-b
			encoded_path
		}
	}
	handle /part/* {
		kubefaas {
			trigger /* admin-a
		}
	}
	handle /part/two {
		kubefaas {
			trigger /* admin-c
		}
	}
	handle /shared/* {
		invoke shared
	}
	handle {
		kubefaas {
			trigger /x admin-b
		}
	}
}
http://c.test:{{.HTTP}} {
	@posts method POST
	route {
		respond /static here
		kubefaas @posts {
			trigger /x admin-a
			pass_thru
		}
		kubefaas /x/* {
			trigger /x/* admin-b
		}
		kubefaas admin-c
	}
}
http://:{{.Other}} {
	kubefaas {
		trigger /x admin-d
	}
}
`

// startSited starts them, and returns the port of the last of them.
func startSited(t *testing.T) (p *platform, other int) {
	t.Helper()
	other, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return startSites(t, strings.ReplaceAll(sited, "{{.Other}}", strconv.Itoa(other))), other
}

func TestAdminMatchesAsTheSitesDo(t *testing.T) {
	p, _ := startSited(t)
	f := NewFunction(t)
	for _, name := range []string{"admin-a", "admin-b", "admin-c", "admin-d"} {
		p.ex.Answer(name, executortest.At(f.Addr()))
	}
	for name, test := range map[string]struct {
		method, host, path string
		function           string // "" if it is for none
		step               string
	}{
		"the first site":                  {"GET", "a.test", "/x", "admin-a", "/x"},
		"the second site, the same path":  {"GET", "b.test", "/x", "admin-b", "/x"},
		"a rewritten path":                {"GET", "b.test", "/old", "admin-b", "/x"},
		"a path without its prefix":       {"GET", "b.test", "/api/v/a", "admin-b", "/v/{name}"},
		"the rest of such a prefix":       {"GET", "b.test", "/api/x", "", ""},
		"the longer path of a group":      {"GET", "b.test", "/part/two", "admin-c", "/*"},
		"the shorter path of a group":     {"GET", "b.test", "/part/one", "admin-a", "/*"},
		"a named route":                   {"GET", "b.test", "/shared/x", "admin-c", "/shared/*"},
		"a response in front":             {"GET", "c.test", "/static", "", "respond"},
		"a matcher in front":              {"POST", "c.test", "/x", "admin-a", "/x"},
		"a matcher that does not fit":     {"GET", "c.test", "/x", "admin-c", "gets the rest"},
		"a request that is handed on":     {"POST", "c.test", "/x/y", "admin-b", "/x/*"},
		"a path in front that fits":       {"GET", "c.test", "/x/y", "admin-b", "/x/*"},
		"home beside another method":      {"GET", "a.test", "/", "", "home answers it"},
		"a method that home leaves alone": {"POST", "a.test", "/", "admin-a", "path and method match"},
		"a host that no site has":         {"GET", "z.test", "/x", "", "no kubefaas handler is reached by this host and path"},
	} {
		t.Run(name, func(t *testing.T) {
			got, body := p.match(t, fmt.Sprintf(`{"method": %q, "host": "%s:%d", "path": %q}`, test.method, test.host, p.HTTPPort(), test.path))
			if got.Function.Name != test.function || (got.Outcome == "matched") != (test.function != "") || !got.says(test.step) {
				t.Errorf("got %s, want function %q and a step with %q", body, test.function, test.step)
			}
			r := p.ask(t, test.method, test.host, test.path)
			if test.function == "" {
				if strings.Contains(r.body, f.ID()) {
					t.Errorf("got %s of the site, want no function's answer", r.body)
				}
				return
			}
			wantHeader(t, r.echo(t).Header, "X-Kubefaas-Function-Name", test.function)
		})
	}
}

func TestAdminMatchesByThePortToo(t *testing.T) {
	p, other := startSited(t)
	for name, test := range map[string]struct {
		host string
		want []string
	}{
		"the port of the sites":          {fmt.Sprintf("a.test:%d", p.HTTPPort()), []string{"admin-a"}},
		"the other port":                 {fmt.Sprintf("a.test:%d", other), []string{"admin-d"}},
		"a port at which nobody listens": {"a.test:1", []string{"admin-a", "admin-d"}},
		"no port":                        {"a.test", []string{"admin-a", "admin-d"}},
		"no port, and a host of no site": {"z.test", []string{"admin-d"}},
		"a host that is no name at all":  {"[::1", []string{"admin-d"}},
		"no host":                        {"", []string{"admin-d"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, body := p.match(t, fmt.Sprintf(`{"host": %q, "path": "/x"}`, test.host))
			if !slices.Contains(test.want, got.Function.Name) {
				t.Errorf("got %s, want one of %q", body, test.want)
			}
		})
	}
}

func TestAdminShowsVariablesAsFunctionsGetThem(t *testing.T) {
	p, _ := startSited(t)
	if got, body := p.match(t, `{"host": "b.test", "path": "/api/v/a%20b%2Fc"}`); got.Variables["name"] != "a%20b%2Fc" {
		t.Errorf("got %s, want the variable as it stands in the URL", body)
	}
}

// brittle is a matcher that breaks at every request.
type brittle struct{}

// CaddyModule returns the Caddy module information.
func (brittle) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.matchers.kubefaas_brittle", New: func() caddy.Module { return new(brittle) }}
}

// MatchWithError breaks.
func (brittle) MatchWithError(*http.Request) (bool, error) { panic("it broke") }

var registerBrittle = sync.OnceFunc(func() { caddy.RegisterModule(brittle{}) }) // for -count

func TestAdminSurvivesABrokenMatcher(t *testing.T) {
	registerBrittle()
	p := &platform{Caddy: Start(t, JSON(`{"apps": {"http": {"servers": {"a": {"listen": [":{{.HTTP}}"], "routes": [
		{"match": [{"kubefaas_brittle": {}}], "handle": [{"handler": "kubefaas", "function": {"name": "admin-a"}}]}
	]}}}}}`))}
	status, body := p.Admin(t, http.MethodPost, "/kubefaas/match", `{"path": "/x"}`)
	if status != http.StatusInternalServerError || !strings.Contains(body, "it broke") {
		t.Errorf("got %d %s, want 500 and the matcher's words", status, body)
	}
}

func TestAdminSurvivesRoutesInACircle(t *testing.T) {
	p := &platform{Caddy: Start(t, JSON(`{"apps": {"http": {"servers": {"a": {"listen": [":{{.HTTP}}"],
		"routes": [{"handle": [{"handler": "invoke", "name": "circle"}]}],
		"named_routes": {"circle": {"handle": [{"handler": "invoke", "name": "circle"}]}}
	}}}}}`))}
	if got, body := p.match(t, `{"path": "/x"}`); got.Outcome != "no route" || !got.says("invokes itself") {
		t.Errorf("got %s, want no route, and the circle", body)
	}
}
