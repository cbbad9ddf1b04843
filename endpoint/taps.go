package endpoint

import (
	"sync"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// tapSet holds the addresses that responded since the last call of Taps, or
// still do. address.tapped is true for each of them.
type tapSet struct {
	mu    sync.Mutex
	addrs map[*address]struct{}
}

func (s *tapSet) add(a *address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addrs == nil {
		s.addrs = make(map[*address]struct{})
	}
	s.addrs[a] = struct{}{}
}

// take empties the set.
func (s *tapSet) take() map[*address]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.addrs
	s.addrs = nil
	return taken
}

// Taps yields every address that responded since the last call, or is
// responding now, each once, with the function's latest metadata and
// executor. Addresses that get no new requests any more are among them while
// a stream lasts on them.
func (p *Pool) Taps(yield func(fn *function.Function, ex Executor, addr string)) {
	for a := range p.taps.take() {
		e := a.entry
		e.mu.Lock()
		fn, ex := e.fn, e.executor
		p.retap(a)
		e.mu.Unlock()
		yield(fn, ex, a.host)
	}
}

// retap decides about an address that was taken from the tap set.
func (p *Pool) retap(a *address) {
	a.tapped = a.responding > 0
	if a.tapped {
		p.taps.add(a)
	}
}

// forgetTaps drops addresses of the tap set that are long gone, in case
// nobody asks for taps.
func (p *Pool) forgetTaps(now time.Time) {
	for a := range p.taps.take() {
		a.entry.mu.Lock()
		if a.gone && now.Sub(a.lastUsed) > downMemory {
			p.retap(a)
		} else {
			p.taps.add(a)
		}
		a.entry.mu.Unlock()
	}
}
