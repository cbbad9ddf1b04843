//go:build unix

package process

import (
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestAFloodNeitherBlocksNorFillsMemory(t *testing.T) {
	const bytes = 256 << 20
	for what, open := range map[string]bool{"with a log that hangs": false, "with a log that takes all": true} {
		t.Run(what, func(t *testing.T) {
			g := gate{Core: zapcore.NewNopCore(), open: make(chan struct{})}
			if open {
				close(g.open)
			}
			quiet := zap.New(onlyOutput{g})
			w := newWorld(t, Options{Logger: quiet})
			e := w.executor(program("flood", "flood", "BYTES", strconv.Itoa(bytes)))
			before := heap()
			w.address(e, "flood") // it listens when it has written everything
			if grown := heap() - before; grown > 16<<20 {
				t.Errorf("the heap grew by %d KiB; want 16 MiB at most", grown>>10)
			} else {
				t.Logf("after %d MiB of output the heap is %d KiB larger", bytes>>20, grown>>10)
			}
			if !open {
				close(g.open)
			}
		})
	}
}

// onlyOutput passes nothing on but functions' output.
type onlyOutput struct{ gate }

func (o onlyOutput) With(f []zapcore.Field) zapcore.Core { o.Core = o.Core.With(f); return o }

func (o onlyOutput) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if len(e.Message) < 900 {
		return c
	}
	return c.AddCore(e, o)
}

// heap is what is in use without having been collected, and so more than is
// needed.
func heap() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
