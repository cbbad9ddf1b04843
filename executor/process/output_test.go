package process

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func linesOf(r io.Reader) (lines []string, cuts int) {
	readLines(r, func(line []byte, cut bool) {
		lines = append(lines, string(line))
		if cut {
			cuts++
		}
	})
	return lines, cuts
}

func TestReadLines(t *testing.T) {
	exact := strings.Repeat("x", maxLine)
	for what, tt := range map[string]struct {
		in   string
		want []string
		cuts int
	}{
		"nothing":                      {"", nil, 0},
		"lines":                        {"a\nb\n", []string{"a", "b"}, 0},
		"an empty line":                {"\n\na\n", []string{"", "", "a"}, 0},
		"an end without its line end":  {"a\nb", []string{"a", "b"}, 0},
		"Windows line ends":            {"a\r\nb\r\n", []string{"a", "b"}, 0},
		"a line as long as the buffer": {strings.Repeat("x", readSize) + "\ny\n", []string{strings.Repeat("x", readSize), "y"}, 0},
		"the longest line":             {exact + "\ny\n", []string{exact, "y"}, 0},
		"one byte more":                {exact + "z\ny\n", []string{exact, "y"}, 1},
		"ten times more, and no end":   {"y\n" + strings.Repeat(exact, 10), []string{"y", exact}, 1},
	} {
		if got, cuts := linesOf(strings.NewReader(tt.in)); !slices.Equal(got, tt.want) || cuts != tt.cuts {
			t.Errorf("%s: got %d lines %.200q, %d cut; want %d lines %.200q, %d cut", what, len(got), got, cuts, len(tt.want), tt.want, tt.cuts)
		}
		if got, _ := linesOf(iotest.HalfReader(strings.NewReader(tt.in))); !slices.Equal(got, tt.want) {
			t.Errorf("%s, read in pieces: got %d lines; want %d", what, len(got), len(tt.want))
		}
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nc"), uint8(1))
	f.Add([]byte("\r\r\n"), uint8(200))
	f.Fuzz(func(t *testing.T, in []byte, times uint8) {
		in = bytes.Repeat(in, int(times)+1)
		got, _ := linesOf(bytes.NewReader(in))
		var want []string
		for line := range strings.Lines(string(in)) {
			line = strings.TrimSuffix(line, "\n")
			// Where a line is cut, its end may have been the removed \r.
			want = append(want, strings.TrimSuffix(line[:min(len(line), maxLine)], "\r"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %d lines %.200q; want %d lines %.200q", len(got), got, len(want), want)
		}
	})
}

func TestTailKeepsTheLastLines(t *testing.T) {
	var kept tail
	if got := kept.last(); got != nil {
		t.Errorf("of nothing: %q; want nil", got)
	}
	for n := range 3 {
		kept.add(fmt.Append(nil, n))
	}
	if got, want := kept.last(), []string{"0", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("of 3 lines: %q; want %q", got, want)
	}
	for n := range 100 {
		kept.add(fmt.Append(nil, n))
	}
	if got := kept.last(); len(got) != tailLines || got[0] != "80" || got[tailLines-1] != "99" {
		t.Errorf("of 103 lines: %q; want the last %d", got, tailLines)
	}
	kept.add(append(bytes.Repeat([]byte("x"), tailLineBytes), "more\xff"...))
	kept.add([]byte("\xff"))
	got := kept.last()
	if long := got[tailLines-2]; len(long) != tailLineBytes+len("…") || !strings.HasSuffix(long, "x…") || got[tailLines-1] != "\uFFFD" {
		t.Errorf("a long line and a bad byte: %d bytes, %q; want %d bytes and a mark", len(long), got[tailLines-1], tailLineBytes+len("…"))
	}
}
