package process

import (
	"fmt"
	"net"
	"sync"
)

const (
	// recentPorts is for how many further choices a port is not chosen again:
	// somebody may still hold a connection to, or the address of, its last
	// listener.
	recentPorts = 256
	// portTries bounds the search; a machine with few free ports gets a
	// recent one rather than none.
	portTries = 64
)

// ports chooses free loopback ports. The zero value is ready to use.
type ports struct {
	mu     sync.Mutex
	held   map[int]bool // chosen and perhaps not yet listened on
	recent [recentPorts]int
	next   int
}

// take returns a port that nothing listens on, and holds it until release.
// Nothing stops a stranger from taking it before the program does: the
// program then ends and is started on another.
func (p *ports) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for try := range portTries {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		if p.held[port] || p.isRecent(port) && try < portTries-1 {
			continue
		}
		if p.held == nil {
			p.held = make(map[int]bool)
		}
		p.held[port] = true
		p.recent[p.next%recentPorts] = port
		p.next++
		return port, nil
	}
	return 0, fmt.Errorf("found no free loopback port in %d tries", portTries)
}

func (p *ports) release(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, port)
}

func (p *ports) isRecent(port int) bool {
	for _, r := range p.recent {
		if r == port {
			return true
		}
	}
	return false
}

func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("choosing a loopback port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
