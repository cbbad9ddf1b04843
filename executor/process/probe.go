package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// The pause between two probes is a twentieth of the wait so far, within these
// bounds: probing adds a fortieth to a program's own start on average, and a
// slow one does not cost much of the processor that it starts on.
const (
	leastProbePause = time.Millisecond
	mostProbePause  = 10 * time.Millisecond
)

// probe asks addr until it is ready or ctx ends. It returns the connection
// that found it ready, with nothing unread on it, for the first request to
// use; nil when the program closed it. The error says what the last probe
// met.
func probe(ctx context.Context, addr string, ready Ready) (net.Conn, error) {
	p := prober{addr: addr, ready: ready}
	timer := time.NewTimer(0)
	defer timer.Stop()
	last := fmt.Errorf("nothing answers at %s", addr)
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			p.close()
			return nil, last
		case <-timer.C:
		}
		err := p.ask(ctx)
		if err == nil {
			p.release()
			return p.conn, nil
		}
		if late, ok := errors.AsType[net.Error](err); !ok || !late.Timeout() {
			last = err // not the end of the wait itself, which says nothing of the program
		} else if p.conn != nil && !p.answered {
			last = fmt.Errorf("it accepts connections but does not answer GET %s", ready.Path)
		}
		p.release()
		timer.Reset(min(max(time.Since(began)/20, leastProbePause), mostProbePause))
	}
}

// prober holds one connection from one question to the next.
type prober struct {
	addr  string
	ready Ready
	conn  net.Conn
	in    *bufio.Reader
	// answered is whether there ever was an answer, keep whether the
	// connection can carry another question.
	answered, keep bool
}

// ask asks once; nil means ready.
func (p *prober) ask(ctx context.Context) error {
	if p.conn == nil {
		if err := p.dial(ctx); err != nil {
			return err
		}
	}
	if p.ready.Kind != ReadyHTTP {
		return nil
	}
	// The deadline makes a program that accepts and never answers heed ctx.
	conn := p.conn
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	keep, err := p.get()
	p.keep = stop() && keep
	return err
}

func (p *prober) dial(ctx context.Context) error {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return err
	}
	if conn.LocalAddr().String() == p.addr {
		// TCP can connect a port of the ephemeral range to itself.
		conn.Close()
		return errors.New("nothing listens")
	}
	p.conn, p.in, p.keep = conn, bufio.NewReaderSize(conn, 4<<10), true
	return nil
}

// maxProbeBody bounds what is read of an answer to be able to ask again on
// the same connection.
const maxProbeBody = 64 << 10

// get makes the request; keep is whether the connection can carry another.
func (p *prober) get() (keep bool, err error) {
	_, err = fmt.Fprintf(p.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kubefaas-probe\r\n\r\n", p.ready.Path, p.addr)
	if err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(p.in, nil) //nolint:bodyclose // read to its end, or the connection is closed
	if err != nil {
		return false, err
	}
	p.answered = true
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxProbeBody+1))
	keep = err == nil && n <= maxProbeBody && !resp.Close && p.in.Buffered() == 0
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return keep, fmt.Errorf("GET %s was answered with %s", p.ready.Path, resp.Status)
	}
	return keep, nil
}

// release closes a connection that can carry no more questions.
func (p *prober) release() {
	if !p.keep {
		p.close()
	}
}

func (p *prober) close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}
