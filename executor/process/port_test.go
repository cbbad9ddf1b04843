package process

import "testing"

func TestNoPortIsGivenTwiceWhileHeldOrSoonAfter(t *testing.T) {
	var p ports
	seen := make(map[int]bool)
	for n := range recentPorts {
		port, err := p.take()
		if err != nil {
			t.Fatalf("take %d: %v", n, err)
		}
		if seen[port] {
			t.Fatalf("take %d = %d, given before", n, port)
		}
		seen[port] = true
		if n%2 == 0 {
			p.release(port)
		}
	}
	for range recentPorts {
		port, err := p.take()
		if err != nil {
			t.Fatal(err)
		}
		p.release(port)
	}
	if got := len(p.held); got != recentPorts/2 {
		t.Errorf("%d ports are held; want %d", got, recentPorts/2)
	}
}
