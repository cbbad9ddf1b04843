package process

import (
	"bytes"
	"sync"
)

const (
	// tailLines is how many lines of a program's output are kept for the
	// report of its end.
	tailLines = 20
	// tailLineBytes bounds one of them.
	tailLineBytes = 1 << 10
)

// tail keeps the last lines of a program's output, both streams in the order
// they were read. The zero value is ready to use; its memory is bounded and
// reused, so that a flood costs a copy a line and no garbage.
type tail struct {
	mu    sync.Mutex
	lines [tailLines][]byte
	n     int // lines ever added
}

func (t *tail) add(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := &t.lines[t.n%tailLines]
	*slot = append((*slot)[:0], line[:min(len(line), tailLineBytes)]...)
	if len(line) > tailLineBytes {
		*slot = append(*slot, "…"...)
	}
	t.n++
}

// last returns the lines kept, oldest first.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for i := max(0, t.n-tailLines); i < t.n; i++ {
		out = append(out, string(bytes.ToValidUTF8(t.lines[i%tailLines], []byte("\uFFFD"))))
	}
	return out
}
