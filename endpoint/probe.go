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
	ctx    context.Context
	cancel context.CancelFunc
	last   atomic.Pointer[error] // the last dial's

	// Of whoever dials.
	pause    time.Duration
	next     time.Time // of the next dial
	timeouts int
	refused  bool
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
	pr := f.aimed(addr, since)
	f.children.Go(func() { f.dial(pr) })
	return pr
}

// aimed is a probe of an address, which has not been dialled yet.
func (f *flight) aimed(addr string, since time.Time) *probe {
	pr := &probe{addr: addr, since: since, pause: firstPause}
	pr.ctx, pr.cancel = context.WithCancel(f.ctx)
	f.probes[addr] = pr
	f.e.pool.probing.Add(1)
	return pr
}

// dialled ends a probe, on the goroutine that dials.
func (f *flight) dialled(pr *probe) {
	pr.cancel()
	f.e.pool.probing.Add(-1)
}

// dial dials at once and then after short pauses. It tells of the connection,
// of the first refusal, and whenever the address used its time-outs up.
func (f *flight) dial(pr *probe) {
	d, again := f.dialOnce(pr)
	if d.probe != nil {
		f.tell(pr.ctx, d)
	}
	if again {
		f.dialAgain(pr)
	} else {
		f.dialled(pr)
	}
}

// dialAgain is what follows the first dial.
func (f *flight) dialAgain(pr *probe) {
	defer f.dialled(pr)
	for again := true; again; {
		if !sleep(pr.ctx, time.Until(pr.next)) {
			return
		}
		pr.pause = min(pr.pause*33/32, lastPause)
		var d dialed
		if d, again = f.dialOnce(pr); d.probe != nil {
			f.tell(pr.ctx, d)
		}
	}
}

// dialOnce dials. It returns what there is to tell, if anything, and whether to
// dial again.
func (f *flight) dialOnce(pr *probe) (d dialed, again bool) {
	pool, settings := f.e.pool, f.call.Settings
	pr.next = time.Now().Add(max(pr.pause, pool.fairPause()))
	ctx, cancel := context.WithTimeout(pr.ctx, settings.dialTimeout(pr.timeouts+1))
	conn, err := pool.dial(ctx, pr.addr)
	cancel()
	if err == nil {
		return dialed{pr, conn, false}, false
	}
	if at, ok := pr.ctx.Deadline(); pr.ctx.Err() != nil || ok && !time.Now().Before(at) {
		return dialed{}, false // it was cut short, which says nothing of the address
	}
	pr.last.Store(&err)
	switch {
	case isTimeout(err):
		if pr.timeouts++; pr.timeouts >= settings.addressAttempts() {
			pr.timeouts = 0
			return dialed{pr, nil, true}, true
		}
	case !pr.refused:
		pr.refused = true
		return dialed{pr, nil, false}, true
	}
	return dialed{}, true
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
