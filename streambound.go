package kubefaas

import (
	"errors"
	"io"
	"time"
)

// streamBound ends a response that is silent, or lasts, for too long.
type streamBound struct {
	body   io.ReadCloser
	idle   time.Duration
	timer  *time.Timer
	total  *time.Timer
	reason chan error
}

// errStreamIdle and errStreamDuration are why a response was ended.
var (
	errStreamIdle     = errors.New("no byte within stream_idle_timeout")
	errStreamDuration = errors.New("it lasted longer than stream_max_duration")
)

// newStreamBound bounds the reading of a body: idle for one read, longest for
// all of it; 0 is no bound.
func newStreamBound(body io.ReadCloser, idle, longest time.Duration) *streamBound {
	b := &streamBound{body: body, idle: idle, reason: make(chan error, 1)}
	if longest > 0 {
		b.total = time.AfterFunc(longest, func() { b.end(errStreamDuration) })
	}
	return b
}

func (b *streamBound) end(why error) {
	select {
	case b.reason <- why:
	default:
	}
	_ = b.body.Close()
}

// reading starts the clock for the next read.
func (b *streamBound) reading() {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.idle, func() { b.end(errStreamIdle) })
		return
	}
	b.timer.Reset(b.idle)
}

// waited stops the clock while the client takes what was read.
func (b *streamBound) waited() { b.timer.Stop() }

func (b *streamBound) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
	if b.total != nil {
		b.total.Stop()
	}
}

// cause is why reading failed: the bound that ended it, or the read's error.
func (b *streamBound) cause(err error) error {
	select {
	case why := <-b.reason:
		return why
	default:
		return err
	}
}
