package endpoint

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

const (
	// firstPause and lastPause are what lies between the beginnings of two
	// dials of an address that does not listen yet. Each is a thirty-second
	// longer than the one before, so that the pauses stay near a thirty-second of
	// the time that the function took so far: that much is added to its start.
	firstPause = 5 * time.Millisecond
	lastPause  = 50 * time.Millisecond
	// dialShare slows all probes down when there are many, to 4,000 dials a
	// second in all, where lastPause allows: a burst of cold starts needs the
	// processor for other things.
	dialShare = 250 * time.Microsecond
)

// probe dials one address until it listens.
type probe struct {
	addr   string
	since  time.Time // the executor's answer
	cancel context.CancelFunc
	last   atomic.Pointer[error] // the last dial's
}

// dialed is what a probe tells its flight.
type dialed struct {
	*probe
	conn net.Conn // nil: not yet
	// urgent, without a connection: the executor should be asked now, not
	// after a delay.
	urgent bool
}

// probe begins to dial an address.
func (f *flight) probe(addr string, since time.Time) *probe {
	ctx, cancel := context.WithCancel(f.ctx)
	pr := &probe{addr: addr, since: since, cancel: cancel}
	f.probes[addr] = pr
	f.children.Go(func() {
		defer cancel()
		f.dial(ctx, pr)
	})
	return pr
}

// dial dials at once and then after short pauses. It tells of the connection,
// of the first refusal, and whenever the address used its time-outs up.
func (f *flight) dial(ctx context.Context, pr *probe) {
	f.e.pool.probing.Add(1)
	defer f.e.pool.probing.Add(-1)
	pause, timeouts, refused := firstPause, 0, false
	for {
		next := time.Now().Add(max(pause, f.e.pool.fairPause()))
		dctx, cancel := context.WithTimeout(ctx, f.call.Settings.dialTimeout(timeouts+1))
		conn, err := f.e.pool.dial(dctx, pr.addr)
		cancel()
		if err == nil {
			f.tell(ctx, dialed{pr, conn, false})
			return
		}
		if at, ok := ctx.Deadline(); ctx.Err() != nil || ok && !time.Now().Before(at) {
			return // it was cut short, which says nothing of the address
		}
		pr.last.Store(&err)
		switch {
		case isTimeout(err):
			if timeouts++; timeouts >= f.call.Settings.addressAttempts() {
				timeouts = 0
				f.tell(ctx, dialed{pr, nil, true})
			}
		case !refused:
			refused = true
			f.tell(ctx, dialed{pr, nil, false})
		}
		if !sleep(ctx, time.Until(next)) {
			return
		}
		pause = min(pause*33/32, lastPause)
	}
}

// fairPause is the pause that keeps all probes together within their budget.
func (p *Pool) fairPause() time.Duration {
	return min(time.Duration(p.probing.Load())*dialShare, lastPause)
}

// tell hands a result to the flight, if it still wants one.
func (f *flight) tell(ctx context.Context, d dialed) {
	select {
	case f.dials <- d:
	case <-ctx.Done():
		d.close()
	}
}

// close closes the connection, if there is one.
func (d dialed) close() {
	if d.conn != nil {
		d.conn.Close()
	}
}

// listening takes a probe's result. It reports whether the address listens;
// then the probe is done.
func (f *flight) listening(d dialed) bool {
	if d.conn == nil {
		return false
	}
	if f.probes[d.addr] != d.probe { // it was called off just as it connected
		d.close()
		return false
	}
	delete(f.probes, d.addr)
	return true
}

// phases are those of a start that ends now.
func (f *flight) phases(d dialed, now time.Time) Phases {
	return Phases{Start: d.since.Sub(f.began), Dial: now.Sub(d.since)}
}
