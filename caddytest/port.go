package caddytest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
)

// firstPort is the lowest port that the harness hands out.
const firstPort = 10000

// ports remembers what this process has handed out, so that no port serves two
// tests: a late dial of the first would reach the second.
var ports struct {
	sync.Mutex
	taken map[int]bool
}

// pickPort returns a loopback port that accepts now, by try, and that this
// process has not handed out before.
//
// The port lies outside the range from which the kernel takes the source ports
// of outgoing connections. Inside it, a dial to a port that nobody listens on
// can be given that very port as its source and then connects to itself; and
// any client may take the port between two tries to listen.
func pickPort(try func(port int) error) (int, error) {
	low, high := ephemeralRange()
	var ranges [][2]int
	if low > firstPort {
		ranges = append(ranges, [2]int{firstPort, low})
	}
	if high < 65000 {
		ranges = append(ranges, [2]int{high + 1, 65536})
	}
	if len(ranges) == 0 {
		ranges = append(ranges, [2]int{firstPort, 65536})
	}

	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = make(map[int]bool)
	}
	var err error
	for range 1000 {
		r := ranges[rand.IntN(len(ranges))]
		port := r[0] + rand.IntN(r[1]-r[0])
		if ports.taken[port] {
			continue
		}
		if err = try(port); err == nil {
			ports.taken[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free loopback port after 1000 tries: %w", err)
}

// ephemeralRange returns the first and last port that the kernel uses as the
// source of outgoing connections; IANA's range where the kernel does not say.
func ephemeralRange() (low, high int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if n, _ := fmt.Sscan(string(text), &low, &high); n == 2 {
			return low, high
		}
	}
	return 49152, 65535
}
