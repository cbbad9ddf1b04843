package caddytest

import (
	"io"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(logWriter{}) }

// logWriter is the log output of an in-process Caddy: it hands every entry to
// the buffer that the harness registered under ID. It exists in test binaries
// only.
type logWriter struct {
	// ID is the key of the buffer.
	ID string `json:"id,omitempty"`
}

var (
	logBuffers  sync.Map // of string to *logBuffer
	logBufferID atomic.Int64
)

// registerLogs makes a buffer reachable from a configuration, and returns the
// JSON of the writer that fills it.
func registerLogs(b *logBuffer) (writer map[string]any, unregister func()) {
	id := strconv.FormatInt(logBufferID.Add(1), 10)
	logBuffers.Store(id, b)
	return map[string]any{"output": "caddytest", "id": id}, func() { logBuffers.Delete(id) }
}

// CaddyModule returns the Caddy module information.
func (logWriter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.writers.caddytest",
		New: func() caddy.Module { return new(logWriter) },
	}
}

func (w logWriter) String() string { return "caddytest buffer " + w.ID }

// WriterKey implements caddy.WriterOpener.
func (w logWriter) WriterKey() string { return "caddytest:" + w.ID }

// OpenWriter implements caddy.WriterOpener. Entries for a buffer that is gone,
// written by the last requests of a stopped Caddy, are dropped.
func (w logWriter) OpenWriter() (io.WriteCloser, error) {
	out := io.Discard
	if b, ok := logBuffers.Load(w.ID); ok {
		out = b.(*logBuffer)
	}
	return nopCloser{out}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// Interface guards
var (
	_ caddy.Module       = logWriter{}
	_ caddy.WriterOpener = logWriter{}
)
