package process

import "testing"

func TestListener(t *testing.T) {
	for what, tt := range map[string]struct{ line, addr, inode string }{
		"IPv4 that listens":     {"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0", "127.0.0.1:8080", "12345"},
		"IPv6 that listens":     {"   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 77 1", "[::1]:80", "77"},
		"IPv4 in IPv6":          {"   0: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 77 1", "127.0.0.1:80", "77"},
		"one that is connected": {"   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 12346 1", "", ""},
		"the headline":          {"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "", ""},
		"nothing":               {"", "", ""},
	} {
		addr, inode, ok := listener(tt.line)
		if ok != (tt.addr != "") || inode != tt.inode || ok && addr.String() != tt.addr {
			t.Errorf("%s: listener = %s, %s, %t; want %s, %s", what, addr, inode, ok, tt.addr, tt.inode)
		}
	}
}

func FuzzListener(f *testing.F) {
	f.Add("0: 0100007F:1F90 0:0 0A a b c d e f")
	f.Fuzz(func(t *testing.T, line string) {
		if addr, _, ok := listener(line); ok && !addr.IsValid() {
			t.Errorf("listener(%q) = %s, which is no address", line, addr)
		}
	})
}
