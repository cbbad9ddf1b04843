package process

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// What may wait for the log, per instance. While a batch is written, as
	// much again can gather.
	queueLines = 2048
	queueBytes = 256 << 10
	// queuePatience is how long a program is held up, once, for a log that is
	// merely slow, before its lines are dropped.
	queuePatience = 5 * time.Millisecond
)

// record is a line of output on its way to the log.
type record struct {
	at     time.Time
	stream string
	text   string
	cut    bool
}

// queue stands between a program that writes and a log that may be slower.
type queue struct {
	mu       sync.Mutex
	records  []record
	bytes    int
	dropped  int
	shedding bool // full, and patience was of no use: drop until the writer comes back
	closed   bool
	more     chan struct{} // something to write, or closed
	room     chan struct{} // the writer took what there was
}

func newQueue() *queue {
	return &queue{more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put hands a line over, or drops it. It blocks for queuePatience at most,
// and not again before the log has taken something.
func (q *queue) put(stream string, line []byte, cut bool) {
	if q.add(stream, line, cut, false) {
		return
	}
	t := time.NewTimer(queuePatience)
	defer t.Stop()
	select {
	case <-q.room:
	case <-t.C:
	}
	q.add(stream, line, cut, true)
}

// add reports whether the line was dealt with: taken, or dropped for good.
func (q *queue) add(stream string, line []byte, cut, last bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := len(q.records) >= queueLines || q.bytes+len(line) > queueBytes
	if full && !q.shedding && !last {
		return false
	}
	if full || q.shedding {
		q.shedding = true
		q.dropped++
		return true
	}
	q.records = append(q.records, record{time.Now(), stream, string(line), cut})
	q.bytes += len(line)
	wake(q.more)
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	wake(q.more)
}

func (q *queue) take() (batch []record, dropped int, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, dropped = q.records, q.dropped
	q.records, q.bytes, q.dropped, q.shedding = nil, 0, 0, false
	wake(q.room)
	return batch, dropped, q.closed
}

// writeTo logs what is put until the queue is closed and empty.
func (q *queue) writeTo(log *zap.Logger) {
	for range q.more {
		batch, dropped, closed := q.take()
		for _, r := range batch {
			r.write(log)
		}
		if dropped > 0 {
			log.Warn("lines of output were dropped: the log is slower than the function", zap.Int("lines", dropped))
		}
		if closed {
			return
		}
	}
}

func (r *record) write(log *zap.Logger) {
	entry := log.Check(zapcore.InfoLevel, r.text)
	if entry == nil {
		return
	}
	entry.Time = r.at
	if r.cut {
		entry.Write(zap.String("stream", r.stream), zap.Bool("cut", true))
		return
	}
	entry.Write(zap.String("stream", r.stream))
}

// wake wakes whoever receives from c, a channel of capacity 1.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
