package invoke

import "sync/atomic"

// Budget counts bytes that are held for waiting requests. The zero value
// holds none.
type Budget struct{ held atomic.Int64 }

// Held is the number of bytes that are taken now.
func (b *Budget) Held() int64 { return b.held.Load() }

// take takes n bytes unless more than limit would be held then.
func (b *Budget) take(n, limit int64) bool {
	for {
		held := b.held.Load()
		if held+n > limit {
			return false
		}
		if b.held.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

func (b *Budget) put(n int64) { b.held.Add(-n) }
