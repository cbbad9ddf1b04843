package process

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// maxLine is where a line of output is cut, in bytes.
	maxLine = 64 << 10
	// readSize is the buffer of one stream, in bytes.
	readSize = 16 << 10
	// outputGrace is how long what is still in the pipes is waited for once
	// the program has ended. Only a descendant that left the process group
	// can make it pass.
	outputGrace = time.Second
)

// output carries a program's two streams to the log. Both are always read,
// however slow the log is: what the log cannot take is dropped and counted.
type output struct {
	tail    tail
	queue   *queue
	streams [2]stream
	readers sync.WaitGroup
	written chan struct{} // closed when the log has all it will get
}

type stream struct {
	name        string
	read, write *os.File
}

// newOutput opens the pipes. Either begin or closeAll has to follow.
func newOutput() (*output, error) {
	o := &output{queue: newQueue(), written: make(chan struct{})}
	for i, name := range [...]string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			o.closeAll()
			return nil, err
		}
		o.streams[i] = stream{name, r, w}
	}
	return o, nil
}

// begin closes the ends that the program now has and starts reading.
func (o *output) begin(log *zap.Logger) {
	for _, s := range o.streams {
		s.write.Close()
		o.readers.Go(func() {
			readLines(s.read, func(line []byte, cut bool) {
				o.tail.add(line)
				o.queue.put(s.name, line, cut)
			})
		})
	}
	go func() {
		defer close(o.written)
		o.queue.writeTo(log)
	}()
}

// finish waits until all output was read and logged, each for at most
// outputGrace: a grandchild may hold a pipe open, and a log may hang.
func (o *output) finish() {
	read := make(chan struct{})
	go func() {
		defer close(read)
		o.readers.Wait()
	}()
	within(read, outputGrace)
	for _, s := range o.streams {
		s.read.Close() // which ends a reader that is still there
	}
	<-read
	o.queue.close()
	within(o.written, outputGrace)
}

func within(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

func (o *output) closeAll() {
	for _, s := range o.streams {
		if s.read != nil {
			s.read.Close()
			s.write.Close()
		}
	}
}

// readLines calls emit for every line of r until r ends, with the line's end
// removed. A line over maxLine bytes is cut there, and emit is told. The
// bytes are emit's only for the call.
func readLines(r io.Reader, emit func(line []byte, cut bool)) {
	in := bufio.NewReaderSize(r, readSize)
	var long []byte // the beginning of a line longer than the buffer
	cut := false
	for {
		part, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long, cut = extend(long, part, cut)
			continue
		}
		line := part
		if long != nil {
			long, cut = extend(long, bytes.TrimSuffix(part, []byte("\n")), cut)
			line = long
		}
		if len(line) > 0 || err == nil {
			emit(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), cut)
		}
		if err != nil {
			return
		}
		long, cut = nil, false
	}
}

func extend(line, part []byte, cut bool) ([]byte, bool) {
	room := maxLine - len(line)
	return append(line, part[:min(room, len(part))]...), cut || len(part) > room
}
