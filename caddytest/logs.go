package caddytest

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// maxLogLines bounds what is kept of one Caddy's log; the oldest lines go first.
const maxLogLines = 50_000

// LogEntry is one line of Caddy's log.
type LogEntry struct {
	Level  string
	Logger string
	Msg    string
	// Fields holds the whole entry, also the three above.
	Fields map[string]any
	// Raw is the line as written. For a line that is not JSON (a panic's
	// stack, say) it is all there is.
	Raw string
}

// logBuffer collects lines from a writer and wakes those who wait for one.
type logBuffer struct {
	mu      sync.Mutex
	lines   []string
	dropped int           // lines that maxLogLines pushed out
	partial []byte        // a line whose end is yet to come
	grown   chan struct{} // closed and replaced at every new line
}

func newLogBuffer() *logBuffer { return &logBuffer{grown: make(chan struct{})} }

// Write implements io.Writer; it takes any part of a line, or several lines.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partial = append(b.partial, p...)
	added := false
	for {
		line, rest, ok := bytes.Cut(b.partial, []byte("\n"))
		if !ok {
			break
		}
		b.lines = append(b.lines, string(line))
		b.partial = rest
		added = true
	}
	if over := len(b.lines) - maxLogLines; over > 0 {
		b.lines = b.lines[over:]
		b.dropped += over
	}
	if added {
		b.partial = bytes.Clone(b.partial) // let go of the lines before it
		close(b.grown)
		b.grown = make(chan struct{})
	}
	return len(p), nil
}

// since returns the lines from number n on (counted from the first ever
// written), the number to go on from, and a channel that closes at the next.
func (b *logBuffer) since(n int) ([]string, int, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := min(max(n-b.dropped, 0), len(b.lines))
	return append([]string(nil), b.lines[from:]...), b.dropped + len(b.lines), b.grown
}

// tail returns the last n lines, for failure messages.
func (b *logBuffer) tail(n int) string {
	lines, _, _ := b.since(0)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.partial) > 0 {
		lines = append(lines, string(b.partial))
	}
	return strings.Join(lines[max(len(lines)-n, 0):], "\n")
}

// wait returns the first line that contains substr.
func (b *logBuffer) wait(substr string, timeout time.Duration) (string, bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for next := 0; ; {
		var lines []string
		var grown <-chan struct{}
		lines, next, grown = b.since(next)
		for _, line := range lines {
			if strings.Contains(line, substr) {
				return line, true
			}
		}
		select {
		case <-grown:
		case <-timer.C:
			return "", false
		}
	}
}

// parseEntry reads one line of a JSON log.
func parseEntry(line string) LogEntry {
	e := LogEntry{Raw: line}
	if json.Unmarshal([]byte(line), &e.Fields) != nil {
		return e
	}
	e.Level, _ = e.Fields["level"].(string)
	e.Logger, _ = e.Fields["logger"].(string)
	e.Msg, _ = e.Fields["msg"].(string)
	return e
}
