package kubefaas

import (
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// liveLog is the log of the configuration in use, for what outlives
// configurations: a logger of an earlier one may write to a file that is
// closed.
type liveLog struct{ current atomic.Pointer[zap.Logger] }

// set makes a configuration's logger the one in use.
func (l *liveLog) set(logger *zap.Logger) { l.current.Store(logger) }

// logger writes to whichever logger is in use then.
func (l *liveLog) logger(name string) *zap.Logger { return zap.New(&liveCore{log: l}).Named(name) }

// liveCore is the core of such a logger, and the fields it has been given.
type liveCore struct {
	log    *liveLog
	fields []zapcore.Field
}

// Enabled says whether the log in use takes the level.
func (c *liveCore) Enabled(level zapcore.Level) bool {
	return c.log.current.Load().Core().Enabled(level)
}

// With adds fields.
func (c *liveCore) With(fields []zapcore.Field) zapcore.Core {
	return &liveCore{log: c.log, fields: append(slices.Clip(c.fields), fields...)}
}

// Check leaves the rest to Write, since the log in use decides by more than
// the level.
func (c *liveCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

// Write writes to the log in use.
func (c *liveCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if checked := c.log.current.Load().Core().Check(entry, nil); checked != nil {
		checked.Write(append(slices.Clip(c.fields), fields...)...)
	}
	return nil
}

// Sync writes out what is buffered.
func (c *liveCore) Sync() error { return c.log.current.Load().Core().Sync() }
