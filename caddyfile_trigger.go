package kubefaas

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unmarshalTrigger reads one trigger. Its errors name the trigger, and the line
// of the word that is wrong.
func (h *Handler) unmarshalTrigger(d *caddyfile.Dispenser) error {
	t := Trigger{Name: nameAhead(*d), where: fmt.Sprintf("%s:%d", d.File(), d.Line()), adapting: true}
	err := t.unmarshalHead(d)
	if err == nil {
		err = t.unmarshalBlock(d)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", t.label(), err)
	}
	t.ID = t.Name
	h.Triggers = append(h.Triggers, t)
	return nil
}

// nameAhead is the name that the block of a trigger will give it: messages
// about what stands before it want it too. d is a copy that nobody else reads.
func nameAhead(d caddyfile.Dispenser) string {
	d.RemainingArgs()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() == "name" && d.NextArg() {
			return restoreShorthands(d.Val())
		}
		d.RemainingArgs()
	}
	return ""
}

// unmarshalHead reads the trigger's own line.
func (t *Trigger) unmarshalHead(d *caddyfile.Dispenser) error {
	args := restored(d.RemainingArgs())
	if len(args) > 1 && !strings.HasPrefix(args[0], "/") && (strings.HasPrefix(args[1], "/") || looksLikeMethods(args[0])) {
		t.Methods = strings.Split(strings.ToUpper(args[0]), ",")
		args = args[1:]
	}
	if len(args) > 0 {
		if t.Path = args[0]; !strings.HasPrefix(t.Path, "/") {
			return d.Errf("the path %q does not begin with a slash", t.Path)
		}
	}
	if len(args) < 2 {
		return d.ArgErr()
	}
	if err := t.unmarshalFunctions(d, args[1:]); err != nil {
		return err
	}
	return t.judge(d)
}

// looksLikeMethods tells methods whose path lacks its slash from a path that
// lacks it.
func looksLikeMethods(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ,") == ""
}

// unmarshalFunctions reads the functions and their weights.
func (t *Trigger) unmarshalFunctions(d *caddyfile.Dispenser, args []string) error {
	for len(args) > 0 {
		ref, err := parseFunctionRef(args[0])
		if err != nil {
			return d.WrapErr(err)
		}
		f := WeightedFunction{Namespace: ref.Namespace, Name: ref.Name}
		if args = args[1:]; len(args) > 0 {
			n, err := strconv.Atoi(args[0])
			if err != nil {
				return d.Errf("function %s: the weight %q is not a whole number", f.Name, args[0])
			}
			f.Weight = &n
			args = args[1:]
		}
		t.Functions = append(t.Functions, f)
	}
	return nil
}

// unmarshalBlock reads the trigger's options. Those that the route table has
// an opinion of are shown to it one by one, so that its errors get the right
// line.
func (t *Trigger) unmarshalBlock(d *caddyfile.Dispenser) error {
	judged := func(parse func(*caddyfile.Dispenser) error) func(*caddyfile.Dispenser) error {
		return func(d *caddyfile.Dispenser) error {
			if err := parse(d); err != nil {
				return err
			}
			return t.judge(d)
		}
	}
	return parseBlock(d, words{
		"name":                one(&t.Name, triggerName),
		"host":                judged(func(d *caddyfile.Dispenser) error { return t.unmarshalHosts(d) }),
		"sticky":              judged(func(d *caddyfile.Dispenser) error { return t.unmarshalSticky(d) }),
		"upstream_path":       one(&t.UpstreamPath, oneOf("path", upstreamRoot, upstreamStrip, upstreamKeep)),
		"timeout":             one(&t.Timeout, positive),
		"stream_idle_timeout": one(&t.StreamIdleTimeout, positive),
		"stream_max_duration": one(&t.StreamMaxDuration, positive),
		"preserve_host":       flag(&t.PreserveHost),
		"server_timing":       flag(&t.ServerTiming),
	})
}

func triggerName(s string) (string, error) {
	s, err := text(restoreShorthands(s))
	if err == nil {
		err = checkName(s)
	}
	return s, err
}

func (t *Trigger) unmarshalHosts(d *caddyfile.Dispenser) error {
	err := some(&t.Hosts)(d)
	t.Hosts = restored(t.Hosts)
	return err
}

func (t *Trigger) unmarshalSticky(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.ArgErr()
	}
	t.Sticky = &Sticky{Source: args[0]}
	if len(args) == 2 {
		t.Sticky.Name = args[1]
	} else if args[0] != stickyClientIP {
		return d.ArgErr()
	}
	return nil
}

// judge says what is wrong with the trigger as far as it has been read.
func (t *Trigger) judge(d *caddyfile.Dispenser) error {
	err := t.validate()
	if err == nil {
		alone := *t
		alone.where = "" // the message gets the line of the word, not of the trigger
		_, err = newTable([]Trigger{alone}, "")
	}
	if err == nil {
		return nil
	}
	if text, ok := strings.CutPrefix(err.Error(), t.label()+": "); ok {
		err = errors.New(text) // whoever reads the trigger names it
	}
	return d.WrapErr(err)
}

// namesKey is where an adaptation keeps the names of all its triggers.
const namesKey = "kubefaas.trigger_names"

// claimNames refuses a name that another handler's trigger has: Caddy does not
// load a configuration in which an @id occurs twice.
func (h *Handler) claimNames(state map[string]any) error {
	names, ok := state[namesKey].(map[string]string)
	if !ok {
		names = make(map[string]string)
		if state != nil {
			state[namesKey] = names
		}
	}
	for i := range h.Triggers {
		t := &h.Triggers[i]
		if t.Name == "" {
			continue
		}
		if other, taken := names[t.Name]; taken {
			return fmt.Errorf("%s: %s: %w at %s", t.where, t.label(), errNameTaken, other)
		}
		names[t.Name] = t.where
	}
	return nil
}
