package kubefaas

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/route"
)

// AdminAPI shows on the admin endpoint what the router knows, and can make it
// forget an address.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.kubefaas", New: func() caddy.Module { return new(AdminAPI) }}
}

// Routes are the API's.
func (a *AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/kubefaas/functions", Handler: only(http.MethodGet, a.functions)},
		{Pattern: "/kubefaas/triggers", Handler: only(http.MethodGet, a.triggers)},
		{Pattern: "/kubefaas/match", Handler: only(http.MethodPost, a.match)},
		{Pattern: "/kubefaas/addresses/", Handler: only(http.MethodDelete, a.forget)},
	}
}

// only refuses other methods.
func only(method string, do caddy.AdminHandlerFunc) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return apiError(http.StatusMethodNotAllowed, "the method is %s", method)
		}
		return do(w, r)
	}
}

func apiError(status int, format string, args ...any) caddy.APIError {
	return caddy.APIError{HTTPStatus: status, Err: fmt.Errorf(format, args...)}
}

func writeJSON(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(body, '\n'))
	return err
}

// functionView is one function as GET /kubefaas/functions shows it.
type functionView struct {
	Namespace       string        `json:"namespace"`
	Name            string        `json:"name"`
	UID             string        `json:"uid,omitempty"`
	ResourceVersion string        `json:"resource_version,omitempty"`
	ExecutorType    string        `json:"executor_type"`
	Timeout         string        `json:"timeout"`
	Concurrency     int           `json:"concurrency,omitempty"`
	Protocol        string        `json:"protocol"`
	Addresses       []addressView `json:"addresses"`
	Calls           uint64        `json:"calls"`
	Errors          uint64        `json:"errors"`
	ColdStarts      uint64        `json:"cold_starts"`
	Waiting         int           `json:"waiting"`
	InFlight        int           `json:"in_flight"`
	Starting        bool          `json:"starting"`
	LastError       string        `json:"last_error,omitempty"`
	LastErrorAt     time.Time     `json:"last_error_at,omitzero"`
}

type addressView struct {
	Address    string  `json:"address"`
	AgeSeconds float64 `json:"age_seconds"`
	InFlight   int     `json:"in_flight"`
}

// functions shows every function that is configured or has been called.
func (a *AdminAPI) functions(w http.ResponseWriter, _ *http.Request) error {
	views := []functionView{}
	seen := make(map[function.Ref]bool)
	if s := currentState(); s != nil {
		for _, status := range s.endpoints.Snapshot() {
			seen[status.Function.Ref] = true
			views = append(views, viewOf(status))
		}
	}
	if app := currentApp(); app != nil {
		for ref := range app.known {
			if !seen[ref] {
				views = append(views, viewOf(endpoint.Status{Function: app.function(ref)}))
			}
		}
	}
	slices.SortStableFunc(views, func(a, b functionView) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return writeJSON(w, views)
}

// currentApp is the configuration in use; nil if it has no such app.
func currentApp() *App {
	s := currentState()
	if s == nil {
		return nil
	}
	return s.current()
}

// activeHandlers are those of the configuration in use.
func activeHandlers() []*Handler {
	if app := currentApp(); app != nil {
		return app.handlers
	}
	return nil
}

func viewOf(s endpoint.Status) functionView {
	fn := s.Function
	total := new(totals)
	if v, ok := functionTotals.Load(fn.Ref); ok { // a look must not add what only requests have named
		total = v.(*totals)
	}
	v := functionView{
		Namespace: fn.Namespace, Name: fn.Name, UID: fn.UID, ResourceVersion: fn.ResourceVersion,
		ExecutorType: fn.ExecutorType, Timeout: fn.Timeout.String(), Concurrency: fn.Concurrency, Protocol: fn.Protocol,
		Addresses: []addressView{}, Calls: total.calls.Load(), Errors: total.errors.Load(), ColdStarts: s.ColdStarts,
		Waiting: s.Waiting, InFlight: s.InFlight, Starting: s.Starting,
	}
	for _, address := range s.Addresses {
		v.Addresses = append(v.Addresses, addressView{address.Address, address.Age.Seconds(), address.InFlight})
	}
	if s.LastError != nil {
		v.LastError, v.LastErrorAt = s.LastError.Error(), s.LastErrorAt
	}
	return v
}

// triggerView is one trigger as GET /kubefaas/triggers shows it.
type triggerView struct {
	Name      string         `json:"name,omitempty"`
	Host      string         `json:"host,omitempty"`
	Path      string         `json:"path"`
	Methods   []string       `json:"methods,omitempty"`
	Functions []weightedView `json:"functions"`
	Sticky    *Sticky        `json:"sticky,omitempty"`
}

type weightedView struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Weight    int    `json:"weight"`
}

// triggers shows what matches what, in the order of precedence.
func (a *AdminAPI) triggers(w http.ResponseWriter, _ *http.Request) error {
	views := []triggerView{}
	for _, h := range activeHandlers() {
		for host, t := range h.table.routes.Triggers() {
			views = append(views, viewTrigger(host, t))
		}
	}
	return writeJSON(w, views)
}

func viewTrigger(host string, t *route.Trigger) triggerView {
	v := triggerView{Name: t.Name, Host: host, Path: t.Path, Methods: t.Methods}
	for _, f := range t.Functions {
		v.Functions = append(v.Functions, weightedView{f.Ref.Namespace, f.Ref.Name, f.Weight})
	}
	if t.Sticky.Source != "" {
		v.Sticky = &Sticky{Source: t.Sticky.Source, Name: t.Sticky.Name}
	}
	return v
}

// forget makes the router forget a function's addresses.
func (a *AdminAPI) forget(w http.ResponseWriter, r *http.Request) error {
	ref, err := function.ParseRef(strings.TrimPrefix(r.URL.Path, "/kubefaas/addresses/"))
	if err != nil {
		return apiError(http.StatusBadRequest, "%w", err)
	}
	s := currentState()
	if s == nil || s.endpoints.Forget(ref) == 0 {
		return apiError(http.StatusNotFound, "no address of function %s is known", ref)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// totals are a function's calls and errors since the process began.
type totals struct{ calls, errors atomic.Uint64 }

// functionTotals holds them by function.Ref. Functions that requests name by
// placeholders are not in it, so it is bounded by the configurations.
var functionTotals sync.Map

func totalsOf(ref function.Ref) *totals {
	if v, ok := functionTotals.Load(ref); ok {
		return v.(*totals)
	}
	v, _ := functionTotals.LoadOrStore(ref, new(totals))
	return v.(*totals)
}

// Interface guards
var (
	_ caddy.Module      = (*AdminAPI)(nil)
	_ caddy.AdminRouter = (*AdminAPI)(nil)
)
