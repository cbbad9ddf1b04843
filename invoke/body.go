package invoke

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/kubefaas/caddy-kubefaas/retry"
)

// errBodyClosed is what a reader of an earlier attempt gets.
var errBodyClosed = errors.New("the request's body was closed")

// Body is a request's body that several attempts may read from its beginning,
// as long as all that was read of it fits a limit. Each attempt has a reader
// of its own; what an earlier one took from the client is kept for the later.
type Body struct {
	src    io.ReadCloser
	length int64 // -1: unknown
	limit  int

	mu      sync.Mutex
	moved   sync.Cond         // something below changed
	kept    []byte            // all that was read, unless lost
	pool    *[64<<10 + 1]byte // what kept is in, if that is pooled
	err     error             // how the source ended
	pulling bool              // somebody reads from the source
	lost    bool              // more was read than is kept
	touched bool
	closed  bool
	filling bool
	settled bool        // no further attempt will come
	atEnd   func()      // see AtEnd
	reader  *bodyReader // the present attempt's

	budget *Budget
	taken  int64
}

// NewBody wraps a body of length bytes, -1 if unknown, of which at most limit
// bytes are kept.
func NewBody(src io.ReadCloser, length, limit int64) *Body {
	b := &Body{src: src, length: length, limit: int(limit)}
	b.moved.L = &b.mu
	return b
}

// Hold begins to read the body in the background while the request waits, so
// that it can be replayed, and so that net/http notices a client that leaves.
// It reads nothing if the body is larger than the limit, or if budget would
// hold more than most bytes, and then returns false.
func (b *Body) Hold(budget *Budget, most int64) bool {
	n := b.length
	if n < 0 {
		n = int64(b.limit)
	}
	if n > int64(b.limit) || !budget.take(n, most) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.filling || b.taken > 0 {
		budget.put(n)
		return true
	}
	b.budget, b.taken, b.filling = budget, n, true
	go b.fill()
	return true
}

func (b *Body) fill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.closed && b.err == nil && !b.lost && len(b.kept) < b.limit {
		b.pull(nil)
	}
	b.filling = false
	b.moved.Broadcast()
}

// State is what the body allows a further attempt to do.
func (b *Body) State() retry.Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.lost:
		return retry.Consumed
	case b.touched:
		return retry.Buffered
	}
	return retry.Untouched
}

// Reader returns a reader that starts at the body's first byte, and ends the
// readers before it. Ask State first: of a consumed body it gives the rest.
func (b *Body) Reader() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reader != nil {
		b.reader.closed = true
		b.moved.Broadcast()
	}
	b.reader = &bodyReader{body: b}
	return b.reader
}

// AtEnd has f called each time that a reader reaches the body's end, before it
// says so, on the goroutine that reads.
func (b *Body) AtEnd(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.atEnd = f
}

// ended tells whoever waits for the body's end. b.mu is held.
func (b *Body) ended() {
	if b.atEnd != nil {
		b.atEnd()
	}
}

// Settle says that no further attempt will come, so that what the present one
// has read need not be kept.
func (b *Body) Settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = true
	b.trim()
}

// trim gives up what is kept once the last reader is past it. b.mu is held.
func (b *Body) trim() {
	if b.settled && !b.pulling && b.reader != nil && b.reader.off == len(b.kept) {
		b.lost, b.reader.off = true, 0
		b.release()
	}
}

// failure is what ended the body other than its end: the client broke it off,
// or it is larger than the site allows.
func (b *Body) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// Waits says whether the client is being waited for, rather than read from just
// now: such a read has a moment to end.
func (b *Body) Waits() bool {
	for range 5 {
		if b.Idle() {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return !b.Idle()
}

// Ended says whether the client has sent all of the body.
func (b *Body) Ended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err == io.EOF
}

// Close ends all readers and gives up what is kept. It does not wait for a
// read that the client holds up; Wait does.
func (b *Body) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	if !b.pulling {
		b.release()
	}
	b.moved.Broadcast()
}

// Idle says whether nobody reads from the source, and after Close never will.
func (b *Body) Idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	// A fill that has not run yet finds the body closed and reads nothing.
	return !b.pulling
}

// Wait waits, after Close, until nobody reads from the source any more.
// Whoever calls it makes such a read end, by a deadline on the connection.
func (b *Body) Wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.pulling {
		b.moved.Wait()
	}
}

// release gives back what is kept; b.mu is held.
func (b *Body) release() {
	b.kept = nil
	if b.pool != nil {
		largeBodies.Put(b.pool)
		b.pool = nil
	}
	if b.taken > 0 {
		b.budget.put(b.taken)
		b.taken = 0
	}
}

// pull reads once from the source, or waits for whoever does: into what is
// kept while that has room, else into p, which then is the reader's. It
// returns how much of p was filled. b.mu is held, but not while reading.
func (b *Body) pull(p []byte) int {
	if b.pulling {
		b.moved.Wait()
		return 0
	}
	b.pulling, b.touched = true, true
	into, room := p, b.room()
	if room != nil {
		into = room
	}
	// What goes to the reader directly is lost to the next attempt from now on:
	// it may begin while this read waits for the client.
	wasLost := b.lost
	b.lost = wasLost || room == nil
	b.mu.Unlock()
	n, err := b.src.Read(into)
	b.mu.Lock()
	b.pulling = false
	if err != nil {
		b.err = err
	}
	if room != nil {
		b.kept, n = b.kept[:len(b.kept)+n], 0
	} else if n == 0 {
		b.lost = wasLost
	}
	if b.closed {
		b.release()
	}
	b.moved.Broadcast()
	return n
}

// largeBody is from where on, in bytes, what is kept comes from a pool: of so
// many bytes the garbage collector would feel each request.
const largeBody = 16 << 10

// largeBodies are buffers for them, and for bodies on their way. Their size is the
// default limit's.
var largeBodies = sync.Pool{New: func() any { return new([64<<10 + 1]byte) }}

// grow makes room for more to keep; b.mu is held.
func (b *Body) grow() {
	size := max(2*cap(b.kept), 4<<10)
	if b.length >= 0 {
		size = int(min(b.length, int64(b.limit))) + 1 // one more, so that the end is seen at once
	}
	size = max(min(size, b.limit), len(b.kept)+1)
	var grown []byte
	old := b.pool
	b.pool = nil
	// What waits is kept for long, and counted: it gets no more than it needs.
	if size >= largeBody && size <= 64<<10+1 && !b.filling {
		b.pool = largeBodies.Get().(*[64<<10 + 1]byte)
		grown = b.pool[:0:max(size, min(b.limit, len(b.pool)))]
	} else {
		grown = make([]byte, 0, size)
	}
	b.kept = append(grown, b.kept...)
	if old != nil {
		largeBodies.Put(old)
	}
}

// room is where the next bytes to keep go; nil if the limit is reached.
func (b *Body) room() []byte {
	if b.lost || len(b.kept) >= b.limit {
		return nil
	}
	if len(b.kept) == cap(b.kept) {
		b.grow()
	}
	return b.kept[len(b.kept):cap(b.kept)]
}

// bodyReader is one attempt's view of a Body.
type bodyReader struct {
	body   *Body
	off    int
	closed bool
}

// Read reads what is kept, then from the client.
func (r *bodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case r.closed || b.closed:
			return 0, errBodyClosed
		case r.off < len(b.kept):
			n := copy(p, b.kept[r.off:])
			r.off += n
			ended := r.off == len(b.kept) && b.err == io.EOF
			b.trim()
			if ended {
				b.ended()
				return n, io.EOF
			}
			return n, nil
		case b.err != nil:
			if b.err == io.EOF {
				b.ended()
			}
			return 0, b.err
		}
		if n := b.pull(p); n > 0 {
			return n, nil
		}
	}
}

// Close ends this reader only: the body may be needed again.
func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	r.closed = true
	r.body.moved.Broadcast()
	return nil
}

// Buffered says whether the whole body is in memory, so that reading it never
// waits for the client.
func (r *bodyReader) Buffered() bool {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	return !r.body.lost && r.body.err == io.EOF
}
