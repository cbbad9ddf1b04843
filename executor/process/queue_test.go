package process

import (
	"bytes"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// gate is a log that takes nothing until it is opened, then is slow.
type gate struct {
	zapcore.Core
	open chan struct{}
	each time.Duration
}

func (g gate) With(f []zapcore.Field) zapcore.Core { g.Core = g.Core.With(f); return g }

func (g gate) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, g)
}

func (g gate) Write(e zapcore.Entry, f []zapcore.Field) error {
	<-g.open
	time.Sleep(g.each)
	return g.Core.Write(e, f)
}

func TestABlockedLogHoldsAProgramUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		open := make(chan struct{})
		q := newQueue()
		var writer sync.WaitGroup
		writer.Go(func() { q.writeTo(zap.New(gate{core, open, 0})) })
		began := time.Now()
		line := bytes.Repeat([]byte("x"), 1000)
		const total = 100_000
		for range total {
			q.put("stdout", line, false)
		}
		if took := time.Since(began); took > 10*queuePatience {
			t.Errorf("%d lines took %s; want a few times %s at most", total, took, queuePatience)
		}
		if q.bytes > queueBytes || len(q.records) > queueLines {
			t.Errorf("held are %d lines of %d bytes; want %d of %d at most", len(q.records), q.bytes, queueLines, queueBytes)
		}
		close(open)
		synctest.Wait()
		q.close()
		writer.Wait()
		lines, dropped := 0, 0
		for _, e := range logs.All() {
			if e.Level == zapcore.WarnLevel {
				dropped += int(e.ContextMap()["lines"].(int64))
			} else {
				lines++
			}
		}
		if lines+dropped != total || lines == 0 {
			t.Errorf("logged %d and counted %d dropped; want %d together", lines, dropped, total)
		}
	})
}

func TestASlowLogLosesNothingOfABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.InfoLevel)
		open := make(chan struct{})
		close(open)
		q := newQueue()
		var writer sync.WaitGroup
		writer.Go(func() { q.writeTo(zap.New(gate{core, open, time.Millisecond})) })
		began := time.Now()
		for n := range queueLines {
			q.put("stderr", strconv.AppendInt(nil, int64(n), 10), n == 0)
		}
		q.close()
		writer.Wait()
		all := logs.All()
		if len(all) != queueLines {
			t.Fatalf("logged %d; want %d", len(all), queueLines)
		}
		for n, e := range all {
			if e.Message != strconv.Itoa(n) || e.ContextMap()["stream"] != "stderr" || (e.ContextMap()["cut"] == true) != (n == 0) {
				t.Errorf("entry %d is %q %v; want it in order, with its stream", n, e.Message, e.ContextMap())
			}
			if e.Time.Sub(began) > time.Millisecond {
				t.Errorf("entry %d has the time of its logging, %s late; want that of its reading", n, e.Time.Sub(began))
			}
		}
	})
}
