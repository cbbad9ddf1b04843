package kubefaas

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// lookInterval is how often a client is looked after whose request waits with
// a body that nobody reads: net/http notices that it left only once the body
// has been read.
const lookInterval = 500 * time.Millisecond

// watchClient is an invoke.Exchange's Watch; nil if the client's connection
// cannot be looked at, or need not be: on HTTP/2 and HTTP/3 leaving is a
// message.
func watchClient(r *http.Request) func(left func()) (stop func()) {
	if r.ProtoMajor != 1 {
		return nil
	}
	conn, ok := r.Context().Value(caddyhttp.ConnCtxKey).(net.Conn)
	if !ok {
		return nil
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	return func(left func()) (stop func()) {
		l := &looker{conn: conn, left: left}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer = time.AfterFunc(lookInterval, l.look)
		return l.stop
	}
}

// looker looks after one client.
type looker struct {
	conn    net.Conn
	left    func()
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func (l *looker) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.stopped:
	case departed(l.conn):
		l.left()
	default:
		l.timer.Reset(lookInterval)
	}
}

func (l *looker) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.timer.Stop()
}
