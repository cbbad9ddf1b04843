package h1

import (
	"bufio"
	"context"
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// pollInterval is how long a read may take before it looks at its request's
// context. Short enough for a caller that left, long enough that nearly no request
// meets it.
const pollInterval = 100 * time.Millisecond

// readBufferSize is bufio's default: one read fetches most heads with their bodies.
const readBufferSize = 4 << 10

// longAgo as a deadline makes reads and writes fail at once.
var longAgo = time.Unix(1, 0)

// conn is one connection with its read buffer. Between get and put it belongs to
// one exchange.
type conn struct {
	nc   net.Conn
	br   *bufio.Reader // reads through conn.Read
	line *line         // nil without a file descriptor
	addr string
	home *addrConns // set by the pool

	reused    bool
	idleSince time.Time // guarded by the pool's lock while idle

	ctx      context.Context // of the request under way
	headLeft int64           // bytes that may still be read for the response head
	deadline time.Time       // the read deadline in force, as far as this side set it
	headBy   time.Time       // when the response's head has to be there; zero is no limit
	idle     time.Duration   // how long a read of the body may wait; zero is no limit
	idleBy   time.Time       // when the read that waits has waited for that long
	waited   bool            // a read has waited: deadline is not the usual one
	overdue  bool            // the head was not there in time
	up       *upload         // what sends the request's body meanwhile; nil if nothing does

	mu     sync.Mutex
	closed bool
	stop   func() bool // ends the registration with ctx; nil without one
}

func newConn(nc net.Conn, addr string) *conn {
	c := &conn{nc: nc, addr: addr, line: newLine(nc)}
	c.br = bufio.NewReaderSize(c, readBufferSize)
	return c
}

// begin ties the connection to a request's context. headTimeout is
// Options.HeadTimeout.
func (c *conn) begin(ctx context.Context, now time.Time, headTimeout time.Duration) {
	c.ctx, c.up = ctx, nil
	c.headBy, c.idle, c.idleBy, c.waited, c.overdue = time.Time{}, 0, time.Time{}, false, false
	c.headLeft = 1 // until receive says how much: this is the head's time already
	at := now.Add(pollInterval)
	if headTimeout > 0 {
		c.headBy = now.Add(headTimeout)
		if c.headBy.Before(at) {
			at = c.headBy
		}
	}
	if end, ok := ctx.Deadline(); ok && end.Before(at) {
		at = end
	} else if !c.deadline.After(at) && c.deadline.Sub(now) > pollInterval/2 {
		return // the one in force is good enough
	}
	c.deadline = at
	if c.nc.SetReadDeadline(at) != nil {
		c.watch() // no deadlines: only closing can interrupt
	}
}

// end unties the connection from its request. It returns false if the context's
// end has been, or is being, noticed: the connection is not to be used again.
func (c *conn) end() bool {
	c.mu.Lock()
	stop := c.stop
	c.stop = nil
	c.mu.Unlock()
	c.ctx = nil
	return stop == nil || stop()
}

// watch registers with the request's context, so that its end interrupts reads and
// writes at once.
func (c *conn) watch() {
	if c.ctx.Done() == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop == nil && !c.closed {
		c.stop = context.AfterFunc(c.ctx, func() {
			if c.nc.SetDeadline(longAgo) != nil {
				_ = c.nc.Close()
			}
		})
	}
}

// Read reads from the connection for the buffer. It returns ctx.Err() once the
// request's context has ended, and ErrHeadTooLong when the head's share is used up.
func (c *conn) Read(p []byte) (int, error) {
	if c.headLeft <= 0 {
		return 0, ErrHeadTooLong
	}
	if int64(len(p)) > c.headLeft {
		p = p[:c.headLeft]
	}
	for {
		n, err := c.nc.Read(p)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			if c.inHead() {
				c.headLeft -= int64(n)
			}
			if c.waited && n > 0 {
				c.lookAgain()
			}
			return n, err
		}
		if err := c.wait(); err != nil {
			return 0, err
		}
	}
}

// wait turns from looking at the context now and then to being told.
func (c *conn) wait() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	now := time.Now()
	limit := c.limit(now)
	if !limit.IsZero() && !now.Before(limit) {
		return c.late()
	}
	c.deadline, c.waited = limit, true
	if err := c.nc.SetReadDeadline(limit); err != nil {
		return err
	}
	c.watch()
	// A registration made earlier may have set its deadline just before it was
	// cleared above; then the context has ended by now.
	return c.ctx.Err()
}

// lookAgain makes the next read tell when it waits, after one that has waited.
func (c *conn) lookAgain() {
	c.waited, c.idleBy = false, time.Time{}
	if c.inHead() || c.idle == 0 {
		return
	}
	c.deadline = time.Now().Add(pollInterval)
	// Should the context's end have set a deadline just now, this read only puts
	// off for one interval that it is noticed.
	_ = c.nc.SetReadDeadline(c.deadline)
}

// inHead says whether the response's head is still to come.
func (c *conn) inHead() bool { return c.headLeft != math.MaxInt64 }

// close closes the connection, once, and forgets it. It is safe beside a Read.
func (c *conn) close() {
	if c.detach() {
		_ = c.nc.Close()
	}
}

// detach makes the connection nobody's: not counted, not watched. It returns
// false if it was closed or detached before.
func (c *conn) detach() bool {
	c.mu.Lock()
	was, stop := c.closed, c.stop
	c.closed, c.stop = true, nil
	c.mu.Unlock()
	if was {
		return false
	}
	if stop != nil {
		stop()
	}
	if c.home != nil {
		c.home.leave()
	}
	return true
}
