package main

import "time"

// usage is what a proxy has spent; a figure that nobody knows is 0.
type usage struct {
	cpu       time.Duration // user and system
	allocated allocated
}

func (u usage) plus(v usage) usage {
	u.cpu += v.cpu
	u.allocated.Objects += v.allocated.Objects
	u.allocated.Bytes += v.allocated.Bytes
	return u
}

// metered returns what a proxy spends while do runs.
func (p *proxy) metered(do func()) (usage, error) {
	before, err := p.allocated()
	if err != nil {
		return usage{}, err
	}
	began, err := p.cpu()
	if err != nil {
		return usage{}, err
	}
	do()
	ended, err := p.cpu()
	if err != nil {
		return usage{}, err
	}
	after, err := p.allocated()
	if err != nil {
		return usage{}, err
	}
	// To ask allocates as well. What it takes is asked now, and taken off.
	asked, err := p.allocated()
	if err != nil {
		return usage{}, err
	}
	less := func(a, b uint64) uint64 { return max(a, b) - b }
	return usage{cpu: ended - began, allocated: allocated{
		Objects: less(after.Objects-before.Objects, asked.Objects-after.Objects),
		Bytes:   less(after.Bytes-before.Bytes, asked.Bytes-after.Bytes),
	}}, nil
}
