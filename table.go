package kubefaas

import (
	"strings"

	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/route"
)

// table is a handler's triggers, compiled. It never changes: a new
// configuration brings a new one.
type table struct {
	routes   *route.Table
	internal string // the prefix of the internal routes, without a slash at its end; "" is none
}

// newTable compiles triggers; what each one's target is comes later, since it
// takes an app.
func newTable(triggers []Trigger, internal string) (*table, error) {
	list := make([]route.Trigger, len(triggers))
	for i := range triggers {
		t := &triggers[i]
		hosts, err := t.hosts()
		if err != nil {
			return nil, err
		}
		list[i] = route.Trigger{
			Name: t.Name, Where: t.where, Path: t.Path, Methods: t.Methods, Hosts: hosts,
			Functions: t.weights(), Data: &target{trigger: t},
		}
		if t.Sticky != nil {
			list[i].Sticky = route.Sticky{Source: t.Sticky.Source, Name: t.Sticky.Name}
		}
	}
	routes, err := route.Compile(list)
	if err != nil {
		return nil, err
	}
	return &table{routes: routes, internal: strings.TrimSuffix(internal, "/")}, nil
}

// internalCall reads a path of the internal routes: the function, and what is
// left of the path, decoded and as it was sent. The path is cleaned first, as
// that of a trigger is, and as Caddy's own path matchers do which may guard it. known tells which functions
// have been heard of: of "/a/b" it decides whether it is function b of
// namespace a or sub-path b of function a in the default namespace.
func (t *table) internalCall(path, raw string, known func(function.Ref) bool) (ref function.Ref, rest, rawRest string, ok bool) {
	if t.internal == "" {
		return ref, "", "", false
	}
	path, raw, ok = route.Clean(path, raw)
	if !ok || !strings.HasPrefix(path, t.internal+"/") {
		return ref, "", "", false
	}
	if raw == "" {
		raw = path
	}
	raw, ok = strings.CutPrefix(raw, t.internal+"/")
	if !ok {
		return ref, "", "", false
	}
	parts := strings.SplitN(strings.TrimPrefix(path, t.internal+"/"), "/", 3)
	rawParts := strings.SplitN(raw, "/", 3)
	if len(rawParts) != len(parts) {
		return ref, "", "", false
	}
	names := 1
	ref = function.Ref{Namespace: function.DefaultNamespace, Name: parts[0]}
	if len(parts) > 1 && parts[1] != "" {
		full := function.Ref{Namespace: parts[0], Name: parts[1]}
		if known(full) || !known(ref) {
			ref, names = full, 2
		}
	}
	if ref.Validate() != nil {
		return ref, "", "", false
	}
	return ref, "/" + strings.Join(parts[names:], "/"), "/" + strings.Join(rawParts[names:], "/"), true
}

// isHome says whether a request that no trigger claims is a load balancer's
// look at the home page.
func isHome(method, path string) bool { return path == "/" && isReading(method) }
