package process

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// listensElsewhere says, as the end of a sentence, what the process group of
// pid listens on: a program that ignores PORT is the usual reason why one is
// not ready in time. It is empty when nothing is found.
func listensElsewhere(pid int) string {
	inodes := groupSockets(pid)
	if len(inodes) == 0 {
		return ""
	}
	var found []string
	for _, table := range [...]string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for in := bufio.NewScanner(f); in.Scan(); {
			if addr, inode, ok := listener(in.Text()); ok && inodes[inode] {
				found = append(found, addr.String())
			}
		}
		f.Close()
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return "; it listens on " + strings.Join(slices.Compact(found), ", ")
}

// groupSockets returns the inodes of all sockets that a process group has.
func groupSockets(group int) map[string]bool {
	inodes := make(map[string]bool)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		if processGroup(stat) != group {
			continue
		}
		fds := filepath.Join(filepath.Dir(stat), "fd")
		entries, _ := os.ReadDir(fds)
		for _, e := range entries {
			target, _ := os.Readlink(filepath.Join(fds, e.Name()))
			if inode, ok := strings.CutPrefix(target, "socket:["); ok {
				inodes[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	return inodes
}

// processGroup reads the fifth field of a /proc/<pid>/stat; the second is the
// program's name in parentheses and may hold anything.
func processGroup(stat string) int {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 3 {
		return 0
	}
	group, _ := strconv.Atoi(string(fields[2]))
	return group
}

// listener reads a line of /proc/net/tcp or tcp6; ok is whether it is a
// socket that listens.
func listener(line string) (addr netip.AddrPort, inode string, ok bool) {
	const listening = "0A"
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != listening {
		return addr, "", false
	}
	host, port, _ := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return addr, "", false
	}
	for word := range slices.Chunk(raw, 4) {
		// The kernel prints words as the machine holds them.
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), f[9], ok
}
