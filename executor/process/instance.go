package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// instance is one life of a function's program, from the choice of its port
// to the end of its process group. Its own goroutine leads it through.
type instance struct {
	g    *group
	spec Spec // as it was at the start
	port int
	addr string

	settled chan struct{} // closed once it is ready or has failed
	err     error         // why it failed; set before settled is closed
	again   bool          // it failed for a reason that another start may mend
	stop    chan struct{} // closed by retire
	reason  string        // for the stop; set before stop is closed

	// The group's lock guards these.
	state   State
	pid     int
	began   time.Time
	readyAt time.Time
	used    time.Time // when the router last used or was given the address, as far as known
	known   bool      // whether the router was given the address
	awaited bool      // whether somebody waits to be given it
}

// run is the instance's life.
func (i *instance) run() {
	defer i.g.remove(i)
	c, err := i.start()
	if err != nil {
		i.failed(&StartError{Function: i.spec.Ref, Err: err})
		return
	}
	defer i.g.rt.ports.release(i.port)
	conn, err := i.awaitReady(c)
	if err != nil {
		i.abandon(c, err)
		return
	}
	i.serve(conn)
	select {
	case <-c.exited:
		i.crashed(c)
	case <-i.stop:
		i.drain(c)
		i.shutDown(c)
	}
}

// start chooses a port and starts the program on it.
func (i *instance) start() (*child, error) {
	rt := i.g.rt
	port, err := rt.ports.take()
	if err != nil {
		return nil, err
	}
	c, err := rt.spawn(i.spec, port)
	if err != nil {
		rt.ports.release(port)
		return nil, err
	}
	i.g.mu.Lock()
	i.port, i.addr, i.pid = port, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), c.pid
	i.g.mu.Unlock()
	i.log().Info("function is starting")
	rt.emit(i.event(EventStart, nil))
	return c, nil
}

var (
	errEnded   = errors.New("it ended")
	errStopped = errors.New("it is no longer needed")
)

// awaitReady probes the program until it is ready. Otherwise the error is
// errEnded, errStopped, or wraps ErrStartTimeout.
func (i *instance) awaitReady(c *child) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), i.spec.StartTimeout, ErrStartTimeout)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case <-c.exited:
			end(errEnded)
		case <-i.stop:
			end(errStopped)
		case <-ctx.Done():
		}
	}()
	conn, err := probe(ctx, i.addr, i.spec.Ready)
	if err == nil {
		return conn, nil
	}
	// The reason for the wait's end, if it has one of its own.
	if cause := context.Cause(ctx); cause != ErrStartTimeout {
		return nil, cause
	}
	return nil, fmt.Errorf("%w: after %s: %w%s", ErrStartTimeout, i.spec.StartTimeout, err, listensElsewhere(c.pid))
}

// serve makes the instance known: to the router, which gets the probe's
// connection, and to those who wait for it.
func (i *instance) serve(conn net.Conn) {
	rt := i.g.rt
	if conn != nil && (rt.stash == nil || !rt.stash(i.addr, conn)) {
		conn.Close()
	}
	i.g.ready(i)
	close(i.settled)
	i.log().Info("function is ready", zap.Duration("took", time.Since(i.began)))
	rt.emit(i.event(EventReady, nil))
	i.g.announce(i)
}

// abandon ends a program that did not become ready.
func (i *instance) abandon(c *child, why error) {
	if why == errStopped {
		i.err = errRetired
		close(i.settled)
		i.shutDown(c)
		return
	}
	if why == errEnded {
		i.failed(i.exit(c, true))
		return
	}
	c.kill()
	c.out.finish()
	i.failed(&StartError{Function: i.spec.Ref, Pid: c.pid, Err: why, Tail: c.out.tail.last()})
}

// exit describes the end of the program, when all of its output is there.
func (i *instance) exit(c *child, atStart bool) *ExitError {
	c.out.finish()
	return &ExitError{Function: i.spec.Ref, Pid: c.pid, State: c.state, AtStart: atStart, Tail: c.out.tail.last()}
}

// failed tells everybody that the start came to nothing.
func (i *instance) failed(err error) {
	pause := i.g.failed(i, err)
	close(i.settled)
	i.report("function did not start", err, zap.Duration("next_start_in", pause))
}

// crashed deals with the end of a program that was ready. The address goes
// first: the output may take a moment.
func (i *instance) crashed(c *child) {
	i.g.crashed(i)
	i.g.invalidate(i.addr)
	err := i.exit(c, false)
	i.g.note(err)
	i.report("function crashed", err)
}

func (i *instance) report(what string, err error, more ...zap.Field) {
	fields := append(more, zap.Error(err))
	switch e := err.(type) {
	case *ExitError:
		fields = append(fields, zap.String("state", e.State), zap.Strings("output", e.Tail))
	case *StartError:
		fields = append(fields, zap.Strings("output", e.Tail))
	}
	i.log().Error(what, fields...)
	i.g.rt.emit(i.event(EventCrash, err))
}

func (i *instance) log() *zap.Logger {
	return i.g.rt.log.With(zap.Stringer("function", i.spec.Ref), zap.Int("pid", i.pid), zap.String("address", i.addr))
}

func (i *instance) event(kind EventKind, err error) Event {
	return Event{
		Kind: kind, Function: i.spec.Ref, Pid: i.pid, Address: i.addr,
		At: time.Now(), Took: time.Since(i.began), Err: err,
	}
}
