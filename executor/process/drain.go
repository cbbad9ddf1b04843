package process

import (
	"time"

	"go.uber.org/zap"
)

const (
	firstDrainPause = 2 * time.Millisecond
	lastDrainPause  = 100 * time.Millisecond
	// handOver is how long an address that was just given to the router may
	// take to show up there as in use.
	handOver = 100 * time.Millisecond
)

// drain takes the address from the router and waits until no request is on
// its way to it, for as long as the runtime's DrainTimeout allows. It ends
// early when the program does, or the runtime hurries.
func (i *instance) drain(c *child) {
	i.g.invalidate(i.addr)
	limit := time.NewTimer(i.g.rt.drainTimeout)
	defer limit.Stop()
	tick := time.NewTimer(0)
	defer tick.Stop()
	for pause := firstDrainPause; !i.drained(); pause = min(pause*2, lastDrainPause) {
		tick.Reset(pause)
		select {
		case <-tick.C:
		case <-c.exited:
			return
		case <-i.g.rt.hurry:
			return
		case <-i.g.rt.enough:
			return
		case <-limit.C:
			i.log().Warn("function is stopped with requests on their way", zap.Duration("drain_timeout", i.g.rt.drainTimeout))
			return
		}
	}
}

// drained is whether the router has no use for the address, and did not learn
// it a moment ago from an answer that was under way.
func (i *instance) drained() bool {
	i.g.mu.Lock()
	recent := i.known && time.Since(i.used) < handOver
	i.g.mu.Unlock()
	inFlight, _ := i.g.use(i.addr)
	return inFlight == 0 && !recent && !i.g.invalidate(i.addr)
}

// shutDown ends the program.
func (i *instance) shutDown(c *child) {
	forced := c.end(i.spec.StopTimeout, i.g.rt.hurry)
	c.out.finish()
	log := i.log().With(zap.String("reason", i.reason), zap.String("state", c.state))
	if forced {
		log.Warn("function did not stop by itself and was killed", zap.Duration("stop_timeout", i.spec.StopTimeout))
	} else {
		log.Info("function is stopped")
	}
	i.g.rt.emit(i.event(EventStop, nil))
}
