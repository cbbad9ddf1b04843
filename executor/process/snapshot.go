package process

import (
	"cmp"
	"slices"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Snapshot describes all instances and all functions without any, ordered by
// function and age.
func (r *Runtime) Snapshot() []Status {
	return r.snapshot(func(function.Ref) bool { return true })
}

func (r *Runtime) snapshot(want func(function.Ref) bool) []Status {
	r.mu.Lock()
	var groups []*group
	for g := range r.all {
		if want(g.ref) {
			groups = append(groups, g)
		}
	}
	r.mu.Unlock()
	var out []Status
	for _, g := range groups {
		out = append(out, g.status(time.Now())...)
	}
	slices.SortStableFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started))
	})
	return out
}

func (g *group) status(now time.Time) []Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	common := Status{Function: g.ref, Name: g.ref.String(), Restarts: g.restarted, LastExitAt: g.lastExitAt}
	if g.lastExit != nil {
		common.LastExit = g.lastExit.Error()
	}
	if len(g.instances) == 0 && !g.retired {
		common.State = StateIdle
		if _, err := g.restarts.wait(now); err != nil {
			common.State = StateFailing
		}
		return []Status{common}
	}
	var out []Status
	for _, i := range g.instances {
		s := common
		s.State, s.Pid, s.Address, s.Started = i.state, i.pid, i.addr, i.began
		out = append(out, s)
	}
	return out
}
