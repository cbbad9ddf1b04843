package endpoint

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubefaas/caddy-kubefaas/function"
)

func TestTheFirstRequestGetsTheProbesConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1", "b:1")
		p := w.pool(t)
		if c := p.TakeConn("a:1"); c != nil {
			t.Error("got a connection before there was one")
		}
		get(t, p, w.call())
		synctest.Wait()
		for _, addr := range []string{"a:1", "b:1"} {
			if c := p.TakeConn(addr); c == nil {
				t.Errorf("%s: got no connection", addr)
			}
			if c := p.TakeConn(addr); c != nil {
				t.Errorf("%s: got another connection", addr)
			}
		}
		time.Sleep(2 * keep)
		equal(t, "connections open", w.open(), 2) // they are the takers' now
	})
}

func TestTheProbesConnectionIsClosed(t *testing.T) {
	for name, event := range map[string]func(*Pool, *Lease){
		"if nobody takes it":            func(*Pool, *Lease) { time.Sleep(keep) },
		"if the address is invalidated": func(_ *Pool, l *Lease) { l.Invalidate(errDefinite) },
		"if the function is forgotten":  func(p *Pool, _ *Lease) { p.Forget(hello.Ref) },
		"if the function is pruned":     func(p *Pool, l *Lease) { l.Release(); p.Prune(func(function.Key) bool { return false }) },
		"if the pool is closed":         func(p *Pool, _ *Lease) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld().always("a:1")
				p := w.pool(t)
				l := get(t, p, w.call())
				equal(t, "open at first", w.open(), 1)
				event(p, l)
				synctest.Wait()
				equal(t, "open afterwards", w.open(), 0)
				if c := p.TakeConn("a:1"); c != nil {
					t.Error("got a connection afterwards")
				}
			})
		})
	}
}

func TestOneConnectionAnAddressIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld().always("a:1")
		p := w.pool(t)
		for _, version := range []string{"1", "2"} {
			c := w.call()
			c.Function = &function.Function{Ref: hello.Ref, ResourceVersion: version}
			get(t, p, c)
			time.Sleep(keep * 6 / 10) // the first one's time must not end the second
		}
		equal(t, "connections open", w.open(), 1)
		if p.TakeConn("a:1") == nil {
			t.Error("got no connection, want the second one")
		}
	})
}

func TestAClosedPoolKeepsNoConnection(t *testing.T) {
	w := newWorld()
	var s stash
	s.close()
	conn, _ := w.dial(t.Context(), "a:1")
	if surplus := s.put("a:1", conn); surplus == nil {
		t.Error("put after close: got nothing to close, want the connection")
	} else {
		surplus.Close()
	}
	equal(t, "taken", s.take("a:1"), net.Conn(nil))
}
