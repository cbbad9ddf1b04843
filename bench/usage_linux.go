package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the processor time that the proxy has had, user and system. It is
// read from the clock that the kernel keeps for each process, as
// clock_getcpuclockid(3) finds it: that one counts nanoseconds, where
// /proc/<pid>/stat has hundredths of a second.
func (p *proxy) cpu() (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: all that the scheduler gave it
	clock := int32(^p.cmd.Process.Pid)<<3 | scheduled
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", p.cmd.Process.Pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// peak is the most memory that the proxy has had resident, in bytes.
func (p *proxy) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "VmHWM:" && string(fields[2]) == "kB" {
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.cmd.Process.Pid)
}
