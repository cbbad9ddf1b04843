package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/kubefaas/caddy-kubefaas/executor/executortest"
)

// world is what all rows have in common.
type world struct {
	settings
	dir      string // for files, gone at the end
	backend  *backend
	executor *executortest.Server
	progress io.Writer

	proxies map[string]*proxy // by the row's name
}

// newWorld starts the functions, the executor that knows them, and the proxies
// of the rows. What it returns is to be closed even with an error.
func newWorld(s settings, rows []row, progress io.Writer) (*world, error) {
	w := &world{settings: s, progress: progress, proxies: make(map[string]*proxy)}
	var err error
	if w.dir, err = os.MkdirTemp("", "kubefaas-bench"); err != nil {
		return w, err
	}
	cold := 0
	if slices.ContainsFunc(rows, func(r row) bool { return strings.HasPrefix(r.name, "cold") }) {
		cold = s.functions
	}
	if w.backend, err = startBackend(w.dir, cold); err != nil {
		return w, err
	}
	w.executor = executortest.New(nil)
	for fn, addr := range map[string]string{
		fnSmall: w.backend.Small, fnOther: w.backend.Other, fnLarge: w.backend.Large,
		fnDiscard: w.backend.Discard, fnEvents: w.backend.Events,
	} {
		w.executor.Answer(fn, executortest.At(addr))
	}
	for i, addr := range w.backend.Cold {
		w.executor.Answer(coldFunction(i), executortest.At(addr))
	}
	return w, w.startProxies(rows)
}

// startProxies starts the rows' proxies, side by side.
func (w *world) startProxies(rows []row) error {
	fmt.Fprintf(w.progress, "starting %d proxies\n", len(rows))
	proxies, errs := make([]*proxy, len(rows)), make([]error, len(rows))
	var starts sync.WaitGroup
	for i, r := range rows {
		starts.Go(func() { proxies[i], errs[i] = r.start(w) })
	}
	starts.Wait()
	for i, r := range rows {
		if errs[i] != nil {
			errs[i] = fmt.Errorf("starting %s: %w", r.name, errs[i])
			continue
		}
		w.proxies[r.name] = proxies[i]
	}
	return errors.Join(errs...)
}

// close ends all that was started.
func (w *world) close() {
	for _, p := range w.proxies {
		p.stop()
	}
	if w.executor != nil {
		w.executor.Close()
	}
	if w.backend != nil {
		w.backend.stop()
	}
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}
