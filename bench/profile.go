package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"sync"
)

// profile measures a row once more and has its proxy profiled meanwhile. The
// profiles go to the working folder.
func (w *world) profile(r row) error {
	p := w.proxies[r.name]
	if p.admin == "" {
		return fmt.Errorf("-cpuprofile %s: only Caddy can be profiled", r.name)
	}
	seconds := max(1, int(math.Ceil(w.duration.Seconds())))
	files := map[string]string{
		r.name + ".cpu.prof":    fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds),
		r.name + ".allocs.prof": fmt.Sprintf("/debug/pprof/allocs?seconds=%d", seconds),
	}
	var mu sync.Mutex
	var errs []error
	var downloads sync.WaitGroup
	for file, path := range files {
		fmt.Fprintf(w.progress, "profiling %s into %s\n", r.name, file)
		downloads.Go(func() {
			err := download(p.admin+path, file)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	var res result
	if res.driver, res.err = r.attach(w, p, w.duration); res.err == nil {
		res.drive(w.duration)
		res.end()
	}
	downloads.Wait()
	return errors.Join(append(errs, res.err, res.sample.err)...)
}

// download writes what is at url into a file.
func download(url, file string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("downloading %s: %s: %s", file, resp.Status, text)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
