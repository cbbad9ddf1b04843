package caddytest

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// functionView is what a test reads of GET /kubefaas/functions.
type functionView struct {
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	UID          string `json:"uid"`
	Version      string `json:"resource_version"`
	ExecutorType string `json:"executor_type"`
	Timeout      string `json:"timeout"`
	Concurrency  int    `json:"concurrency"`
	Protocol     string `json:"protocol"`
	Addresses    []struct {
		Address    string  `json:"address"`
		AgeSeconds float64 `json:"age_seconds"`
		InFlight   int     `json:"in_flight"`
	} `json:"addresses"`
	Calls       int       `json:"calls"`
	Errors      int       `json:"errors"`
	ColdStarts  int       `json:"cold_starts"`
	Waiting     int       `json:"waiting"`
	InFlight    int       `json:"in_flight"`
	Starting    bool      `json:"starting"`
	LastError   string    `json:"last_error"`
	LastErrorAt time.Time `json:"last_error_at"`
}

// functions are all that the admin API knows.
func (p *platform) functions(t *testing.T) []functionView {
	t.Helper()
	var views []functionView
	if err := json.Unmarshal([]byte(p.adminGet(t, "/kubefaas/functions")), &views); err != nil {
		t.Fatalf("reading the functions: %v", err)
	}
	return views
}

// functionNamed is one of them.
func (p *platform) functionNamed(t *testing.T, name string) functionView {
	t.Helper()
	for _, f := range p.functions(t) {
		if f.Namespace+"/"+f.Name == name {
			return f
		}
	}
	t.Fatalf("got no function %s, want it", name)
	return functionView{}
}

const administered = `{
	kubefaas {
		executor http {{.Executor}}
		function prod/full {
			uid u-1
			resource_version 12
			executor_type newdeploy
			timeout 7s
			concurrency 3
		}
	}
}
http://:{{.HTTP}} {
	kubefaas {
		trigger /z/* admin-hello
		trigger GET /items/{id:[0-9]+} admin-hello {
			name item
		}
		trigger GET /items/{id} admin-other
		trigger GET /items/new prod/full {
			host shop.example.com
		}
		trigger POST /split admin-hello 90 admin-other 10 {
			name split
			sticky cookie kf
		}
		internal
		home
		health
	}
}
`

func TestAdminShowsFunctions(t *testing.T) {
	p := startSites(t, administered)
	f := NewFunction(t)
	p.ex.Answer("admin-hello", executortest.At(f.Addr()))
	p.ex.Answer("admin-other", executortest.Fail(http.StatusInternalServerError, "no"))

	cold := p.functionNamed(t, "prod/full")
	want := functionView{
		Namespace: "prod", Name: "full", UID: "u-1", Version: "12", ExecutorType: "newdeploy", Timeout: "7s",
		Concurrency: 3, Protocol: "http", Addresses: cold.Addresses, Calls: cold.Calls, // counts outlive a Caddy in this process
	}
	if !reflect.DeepEqual(cold, want) || len(cold.Addresses) != 0 {
		t.Errorf("got a function that was never called %+v, want %+v", cold, want)
	}

	before := p.functionNamed(t, "default/admin-hello")
	p.ask(t, http.MethodGet, "a", "/z/1")
	p.ask(t, http.MethodGet, "a", "/z/2", DoHeader, "status?code=500")
	p.ask(t, http.MethodGet, "a", "/items/a")
	warm := p.functionNamed(t, "default/admin-hello")
	if warm.Calls-before.Calls != 2 || warm.Errors-before.Errors != 1 || warm.ColdStarts != 1 || warm.Waiting != 0 || warm.InFlight != 0 || warm.Starting {
		t.Errorf("got %+v, want 2 calls, 1 error, 1 cold start, and nothing under way", warm)
	}
	if a := warm.Addresses; len(a) != 1 || a[0].Address != f.Addr() || a[0].AgeSeconds < 0 || a[0].AgeSeconds > patience.Seconds() {
		t.Errorf("got addresses %+v, want %s with its age", a, f.Addr())
	}
	if failed := p.functionNamed(t, "default/admin-other"); !strings.Contains(failed.LastError, "status 500") || time.Since(failed.LastErrorAt) > patience {
		t.Errorf("got last error %q at %v, want the executor's", failed.LastError, failed.LastErrorAt)
	}

	release := make(chan struct{})
	p.ex.Answer("prod/full", executortest.Answer{Text: f.Addr(), Until: release})
	w := p.mustDial(t)
	if err := w.send(http.MethodGet, "/kubefaas-function/prod/full", "", "", DoHeader, "slow?n=-1"); err != nil {
		t.Fatal(err)
	}
	await := func(what string, ok func(functionView) bool) {
		t.Helper()
		Eventually(t, patience, func() bool { return ok(p.functionNamed(t, "prod/full")) }, func() string { return "want " + what })
	}
	await("one that waits", func(v functionView) bool { return v.Waiting == 1 && v.Starting && v.InFlight == 0 })
	close(release)
	await("one in flight", func(v functionView) bool {
		return v.InFlight == 1 && v.Waiting == 0 && !v.Starting && len(v.Addresses) == 1 && v.Addresses[0].InFlight == 1
	})
	w.close()
	await("none in flight", func(v functionView) bool { return v.InFlight == 0 })
}

func TestAdminShowsTriggersInTheOrderOfPrecedence(t *testing.T) {
	p := startSites(t, administered)
	var triggers []struct {
		Name      string   `json:"name"`
		Host      string   `json:"host"`
		Path      string   `json:"path"`
		Methods   []string `json:"methods"`
		Functions []struct {
			Name   string `json:"name"`
			Weight int    `json:"weight"`
		} `json:"functions"`
		Sticky map[string]string `json:"sticky"`
	}
	body := p.adminGet(t, "/kubefaas/triggers")
	if err := json.Unmarshal([]byte(body), &triggers); err != nil {
		t.Fatal(err)
	}
	place := map[string]int{}
	for i, trigger := range triggers {
		place[trigger.Host+trigger.Path] = i
		if trigger.Path == "/split" && (len(trigger.Functions) != 2 || trigger.Functions[0].Weight != 90 || trigger.Sticky["source"] != "cookie" || trigger.Sticky["name"] != "kf" || trigger.Name != "split") {
			t.Errorf("got trigger %+v, want its name, weights and stickiness", trigger)
		}
	}
	if len(triggers) != 5 || place["shop.example.com/items/new"] > place["/items/{id:[0-9]+}"] || place["/items/{id:[0-9]+}"] > place["/items/{id}"] {
		t.Errorf("got triggers %s, want the five of them, hosted first, expressions before plain variables", body)
	}
}

// matchView is what a test reads of POST /kubefaas/match.
type matchView struct {
	Outcome string `json:"outcome"`
	Trigger struct {
		Path string `json:"path"`
	} `json:"trigger"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
	Variables map[string]string `json:"variables"`
	Allow     []string          `json:"allow"`
	Steps     []struct {
		Pattern string `json:"pattern"`
		Reason  string `json:"reason"`
	} `json:"steps"`
}

// says reports whether a step has a text in its reason or pattern.
func (v matchView) says(text string) bool {
	for _, step := range v.Steps {
		if strings.Contains(step.Reason+" "+step.Pattern, text) {
			return true
		}
	}
	return text == ""
}

// match asks what becomes of a request.
func (p *platform) match(t *testing.T, request string) (view matchView, body string) {
	t.Helper()
	status, body := p.Admin(t, http.MethodPost, "/kubefaas/match", request)
	if err := json.Unmarshal([]byte(body), &view); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s, %v; want 200", status, body, err)
	}
	return view, body
}

func TestAdminExplainsAMatch(t *testing.T) {
	p := startSites(t, administered)
	for name, test := range map[string]struct {
		request                           string
		outcome, path, function, variable string
		step                              string // in some step's reason or pattern
	}{
		"an expression":     {`{"path": "/items/42"}`, "matched", "/items/{id:[0-9]+}", "admin-hello", "42", "/items/{id:[0-9]+}"},
		"a plain variable":  {`{"method": "GET", "path": "/items/a%2Fb"}`, "matched", "/items/{id}", "admin-other", "a/b", "/items/{id}"},
		"by host":           {`{"host": "SHOP.example.com:8080", "path": "/items/new"}`, "matched", "/items/new", "full", "", "/items/new"},
		"an internal route": {`{"path": "/kubefaas-function/prod/full/x"}`, "matched", "", "full", "", "names the function"},
		"a wrong method":    {`{"method": "DELETE", "path": "/items/42"}`, "method not allowed", "", "", "", "method"},
		"nothing":           {`{"path": "/nothing"}`, "no route", "", "", "", ""},
		"health":            {`{"path": "/readyz"}`, "answered here", "", "", "", "before any trigger"},
		"home":              {`{"path": "/"}`, "answered here", "", "", "", "no trigger claims it"},
		"a POST to home":    {`{"method": "POST", "path": "/"}`, "no route", "", "", "", ""},
		"one of two":        {`{"method": "POST", "path": "/split"}`, "matched", "/split", "", "", "/split"},
	} {
		t.Run(name, func(t *testing.T) {
			got, body := p.match(t, test.request)
			if got.Outcome != test.outcome || got.Trigger.Path != test.path || got.Function.Name != test.function || got.Variables["id"] != test.variable {
				t.Errorf("got %s, want outcome %q, trigger %q, function %q, id %q", body, test.outcome, test.path, test.function, test.variable)
			}
			if test.outcome == "method not allowed" && !reflect.DeepEqual(got.Allow, []string{"GET", "HEAD"}) {
				t.Errorf("got allow %q, want GET, HEAD", got.Allow)
			}
			if !got.says(test.step) {
				t.Errorf("got steps %+v, want one with %q", got.Steps, test.step)
			}
		})
	}
}

func TestAdminForgetsAnAddress(t *testing.T) {
	p := startSites(t, administered)
	f := NewFunction(t)
	p.ex.Answer("admin-hello", executortest.At(f.Addr()))
	p.ask(t, http.MethodGet, "a", "/z/")
	if status, body := p.Admin(t, http.MethodDelete, "/kubefaas/addresses/default/admin-hello", ""); status != http.StatusNoContent {
		t.Errorf("got %d %s, want 204", status, body)
	}
	if got := p.functionNamed(t, "default/admin-hello").Addresses; len(got) != 0 {
		t.Errorf("got addresses %+v, want none", got)
	}
	p.ask(t, http.MethodGet, "a", "/z/").echo(t)
	if got := p.ex.CallsFor("admin-hello"); got != 2 {
		t.Errorf("got %d calls of the executor, want 2: the address was forgotten", got)
	}
}

func TestAdminRefusesInJSON(t *testing.T) {
	p := startSites(t, administered)
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		text               string
	}{
		"a method of functions":         {http.MethodPost, "/kubefaas/functions", "", 405, "GET"},
		"a method of triggers":          {http.MethodDelete, "/kubefaas/triggers", "", 405, "GET"},
		"a method of match":             {http.MethodGet, "/kubefaas/match", "", 405, "POST"},
		"a method of addresses":         {http.MethodGet, "/kubefaas/addresses/default/x", "", 405, "DELETE"},
		"a body that is no JSON":        {http.MethodPost, "/kubefaas/match", "{", 400, "reading the request"},
		"an unknown field":              {http.MethodPost, "/kubefaas/match", `{"path": "/", "pfad": "/"}`, 400, "pfad"},
		"two requests":                  {http.MethodPost, "/kubefaas/match", `{"path": "/"} {}`, 400, "something follows"},
		"a path that is none":           {http.MethodPost, "/kubefaas/match", `{"path": "items"}`, 400, "items"},
		"no function's name":            {http.MethodDelete, "/kubefaas/addresses/", "", 400, ""},
		"a function without an address": {http.MethodDelete, "/kubefaas/addresses/default/admin-hello", "", 404, "default/admin-hello"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := p.Admin(t, test.method, test.path, test.body)
			var got map[string]string
			if err := json.Unmarshal([]byte(body), &got); err != nil || len(got) != 1 || got["error"] == "" {
				t.Errorf("got body %q (%v), want Caddy's {\"error\": …}", body, err)
			}
			if status != test.status || !strings.Contains(got["error"], test.text) {
				t.Errorf("got %d %s, want %d and %q", status, body, test.status, test.text)
			}
		})
	}
}
