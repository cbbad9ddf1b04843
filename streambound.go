package kubefaas

import (
	"errors"
	"io"
	"time"

	"github.com/kubefaas/caddy-kubefaas/h1"
)

// errStreamIdle and errStreamDuration are why a response was ended.
var (
	errStreamIdle     = errors.New("no byte within stream_idle_timeout")
	errStreamDuration = errors.New("it lasted longer than stream_max_duration")
)

// selfBounded is a body that ends by itself when it is silent for too long, at
// no cost as long as it is not.
type selfBounded interface{ SetIdleTimeout(time.Duration) }

// streamBound ends a response that is silent, or lasts, for too long.
type streamBound struct {
	body  io.ReadCloser
	idle  time.Duration // of one read; 0: the body sees to it
	timer *time.Timer
	total *time.Timer
	ended chan error // why; holds one
}

// newStreamBound bounds the reading of a body: idle for one read, longest for
// all of it; 0 is no bound for the latter.
func newStreamBound(body io.ReadCloser, idle, longest time.Duration) *streamBound {
	b := &streamBound{body: body, idle: idle}
	inner := body
	if w, ok := inner.(interface{ Unwrap() io.ReadCloser }); ok {
		inner = w.Unwrap()
	}
	if self, ok := inner.(selfBounded); ok {
		self.SetIdleTimeout(idle)
		b.idle = 0
	}
	if b.idle > 0 || longest > 0 {
		b.ended = make(chan error, 1)
	}
	if longest > 0 {
		b.total = time.AfterFunc(longest, func() { b.end(errStreamDuration) })
	}
	return b
}

func (b *streamBound) end(why error) {
	select {
	case b.ended <- why:
	default:
	}
	_ = b.body.Close()
}

// Read reads, within the bounds. While the client takes what was read, no
// clock runs.
func (b *streamBound) Read(p []byte) (int, error) {
	switch {
	case b.idle == 0:
	case b.timer == nil:
		b.timer = time.AfterFunc(b.idle, func() { b.end(errStreamIdle) })
	default:
		b.timer.Reset(b.idle)
	}
	n, err := b.body.Read(p)
	if b.timer != nil {
		b.timer.Stop()
	}
	if err != nil && err != io.EOF {
		err = b.cause(err)
	}
	return n, err
}

// stop ends the clocks.
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
	if errors.Is(err, h1.ErrBodyIdle) {
		return errStreamIdle
	}
	select {
	case why := <-b.ended:
		return why
	default:
		return err
	}
}
