//go:build !linux

package main

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// cpu is the processor time that the proxy has had, user and system, as Caddy
// itself has it from the system. Of another proxy it is not known: 0.
func (p *proxy) cpu() (time.Duration, error) {
	if p.admin == "" {
		return 0, nil
	}
	resp, err := http.Get(p.admin + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
			seconds, err := strconv.ParseFloat(text, 64)
			return time.Duration(seconds * float64(time.Second)), err
		}
	}
	return 0, lines.Err()
}

// peak is not known here: 0.
func (p *proxy) peak() (int64, error) { return 0, nil }
