package endpoint

import (
	"net"
	"sync"
	"time"
)

// keep is how long a probe's connection waits for a request to use it. Not
// longer: a server that handles one connection at a time is blocked by it.
const keep = time.Second

// stash keeps the connections with which addresses were found to listen, one
// an address, for the first request to each.
type stash struct {
	mu     sync.Mutex
	conns  map[string]*stashed
	closed bool
}

type stashed struct {
	conn  net.Conn
	timer *time.Timer
}

// put keeps a connection. It returns the one to close instead: that which was
// kept before, or this one after close.
func (s *stash) put(addr string, conn net.Conn) (surplus net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return conn
	}
	if s.conns == nil {
		s.conns = make(map[string]*stashed)
	}
	if old := s.conns[addr]; old != nil {
		old.timer.Stop()
		surplus = old.conn
	}
	c := &stashed{conn: conn}
	c.timer = time.AfterFunc(keep, func() { s.expire(addr, c) })
	s.conns[addr] = c
	return surplus
}

// expire closes a connection that nobody took.
func (s *stash) expire(addr string, c *stashed) {
	s.mu.Lock()
	ours := s.conns[addr] == c
	if ours {
		delete(s.conns, addr)
	}
	s.mu.Unlock()
	if ours {
		c.conn.Close()
	}
}

// take hands out a connection that still seems to be good, once.
func (s *stash) take(addr string) net.Conn {
	conn := s.remove(addr)
	if conn == nil || alive(conn) {
		return conn
	}
	conn.Close()
	return nil
}

// drop closes the connection of an address.
func (s *stash) drop(addr string) { closeConn(s.remove(addr)) }

func (s *stash) remove(addr string) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conns[addr]
	if c == nil {
		return nil
	}
	delete(s.conns, addr)
	c.timer.Stop()
	return c.conn
}

// close closes all connections, and whatever comes later.
func (s *stash) close() {
	s.mu.Lock()
	conns := s.conns
	s.conns, s.closed = nil, true
	s.mu.Unlock()
	for _, c := range conns {
		c.timer.Stop()
		c.conn.Close()
	}
}

func closeConn(c net.Conn) {
	if c != nil {
		c.Close()
	}
}
