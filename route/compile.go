package route

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// maxErrors is how many errors Compile tells of; the others are counted.
const maxErrors = 10

// Table is compiled triggers. It is immutable and safe for concurrent use.
type Table struct {
	// exact has the trees by host, wildcard by what follows "*.".
	exact, wildcard map[string]*tree
	// any has the triggers without a host; nil is none.
	any *tree
	// trees are all of them in the order of precedence.
	trees []*tree
	len   int
}

// Compile checks the triggers and builds their table. The error names for each
// bad trigger its name or path, where it stands and what is wrong; it joins the
// first ten.
func Compile(triggers []Trigger) (*Table, error) {
	var errs []error
	parse := newParser()
	entries := make([]entry, len(triggers))
	hosts := make(map[string][]*entry)
	for i := range triggers {
		e := &entries[i]
		keys, err := e.compile(&triggers[i], parse)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", label(&triggers[i]), err))
			continue
		}
		for _, key := range keys {
			hosts[key] = append(hosts[key], e)
		}
	}
	t := &Table{exact: make(map[string]*tree), wildcard: make(map[string]*tree), len: len(triggers)}
	for _, host := range slices.SortedFunc(maps.Keys(hosts), compareHosts) {
		errs = append(errs, t.add(host, hosts[host])...)
	}
	return t, join10(errs)
}

// join10 joins the first maxErrors errors.
func join10(errs []error) error {
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors:maxErrors], fmt.Errorf("and %d more errors in triggers", more))
	}
	return errors.Join(errs...)
}

// label is how messages call a trigger.
func label(t *Trigger) string {
	name := t.Path
	if t.Name != "" {
		name = t.Name
	}
	if t.Where == "" {
		return fmt.Sprintf("trigger %q", name)
	}
	return fmt.Sprintf("%s: trigger %q", t.Where, name)
}

// compile fills in an entry and returns the keys of its hosts; no host is the
// empty key.
func (e *entry) compile(t *Trigger, parse *parser) (keys []string, err error) {
	e.Trigger = *t
	if e.pattern, err = parse.pattern(t.Path); err != nil {
		return nil, fmt.Errorf("path %q: %w", t.Path, err)
	}
	if e.Methods, e.methods, err = methods(t.Methods); err != nil {
		return nil, err
	}
	if e.picker, err = newPicker(t.Functions); err != nil {
		return nil, err
	}
	if err := t.Sticky.check(); err != nil {
		return nil, err
	}
	e.Functions = slices.Clone(t.Functions)
	e.Hosts = nil
	if len(t.Hosts) == 0 {
		return []string{""}, nil
	}
	for _, host := range t.Hosts {
		key, err := hostKey(host)
		if err != nil {
			return nil, err
		}
		if slices.Contains(e.Hosts, key) {
			return nil, fmt.Errorf("host %s is named twice", key)
		}
		e.Hosts = append(e.Hosts, key)
	}
	return e.Hosts, nil
}

// add puts the tree of one host into the table.
func (t *Table) add(host string, entries []*entry) []error {
	slices.SortStableFunc(entries, func(a, b *entry) int { return a.pattern.compare(&b.pattern) })
	if errs := conflicts(host, entries); len(errs) > 0 {
		return errs
	}
	tree := &tree{host: host, entries: entries, root: *build(entries, 0)}
	t.trees = append(t.trees, tree)
	switch suffix, wild := strings.CutPrefix(host, "*."); {
	case host == "":
		t.any = tree
	case wild:
		t.wildcard[suffix] = tree
	default:
		t.exact[host] = tree
	}
	return nil
}

// conflicts finds the entries that claim the same as one before them.
func conflicts(host string, entries []*entry) []error {
	var errs []error
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[0].pattern.compare(&entries[n].pattern) == 0 {
			n++
		}
		if n > 1 {
			errs = append(errs, conflictsOf(host, entries[:n])...)
		}
		entries = entries[n:]
	}
	return errs
}

// conflictsOf finds the conflicts between entries of one pattern.
func conflictsOf(host string, entries []*entry) []error {
	var errs []error
	owners := make(map[string]*entry)
	for i, e := range entries {
		other, method := (*entry)(nil), ""
		if first := entries[0]; i > 0 && (first.methods.every || e.methods.every) {
			other, method = first, first.methods.common(&e.methods)
		}
		for _, name := range e.Methods {
			if o := owners[name]; o != nil && other == nil {
				other, method = o, name
			}
			owners[name] = e
		}
		if other != nil {
			errs = append(errs, conflict(host, method, other, e))
		}
	}
	return errs
}

// conflict is the error of two triggers that claim the same.
func conflict(host, method string, a, b *entry) error {
	on := ""
	if host != "" {
		on = " on host " + host
	}
	return fmt.Errorf("%s (path %q) claims the same as %s (path %q): %s%s", label(&b.Trigger), b.Path, label(&a.Trigger), a.Path, method, on)
}

// compareHosts orders hosts by precedence: exact, wildcard, none; then by name.
func compareHosts(a, b string) int {
	return cmp.Or(cmp.Compare(hostClass(a), hostClass(b)), cmp.Compare(a, b))
}

func hostClass(host string) int {
	switch {
	case host == "":
		return 2
	case strings.HasPrefix(host, "*."):
		return 1
	}
	return 0
}

// Len is the number of triggers.
func (t *Table) Len() int { return t.len }

// Triggers goes through hosts and triggers in the order of precedence, which is
// complete for one host. A trigger of several hosts comes once for each; the
// host is empty for one without. The triggers are not to be modified.
func (t *Table) Triggers() iter.Seq2[string, *Trigger] {
	return func(yield func(string, *Trigger) bool) {
		for _, tree := range t.trees {
			for _, e := range tree.entries {
				if !yield(tree.host, &e.Trigger) {
					return
				}
			}
		}
	}
}
