package kubefaas

import (
	"context"
	"net"
	"net/http"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// lookInterval is how often a client is looked after whose request waits with
// a body that nobody reads: net/http notices that it left only once the body
// has been read.
const lookInterval = 500 * time.Millisecond

// connKey is the context key of a request's connection.
type connKey struct{}

// rememberConns lets the requests of a server know their connections.
func rememberConns(srv *caddyhttp.Server) {
	srv.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		if ctx.Value(connKey{}) != nil {
			return ctx // another handler of this server was first
		}
		return context.WithValue(ctx, connKey{}, conn)
	})
}

// watchClient is an invoke.Exchange's Watch; nil if the client's connection
// cannot be looked at, or need not be: on HTTP/2 and HTTP/3 leaving is a
// message.
func watchClient(r *http.Request) func(left func()) (stop func()) {
	if r.ProtoMajor != 1 {
		return nil
	}
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		return nil
	}
	conn = underlying(conn)
	return func(left func()) (stop func()) {
		l := &looker{conn: conn, left: left}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer = time.AfterFunc(lookInterval, l.look)
		return l.stop
	}
}

// maxWrappers bounds how deep underlying looks.
const maxWrappers = 8

// underlying is the network's connection inside those that TLS, Caddy and
// listener wrappers put around it. Caddy wraps every connection of a server
// without HTTP/2 in a type that has no method to get at it, but embeds it, as
// most wrappers do.
func underlying(conn net.Conn) net.Conn {
	for range maxWrappers {
		if _, ok := conn.(syscall.Conn); ok {
			return conn
		}
		if wrapper, ok := conn.(interface{ NetConn() net.Conn }); ok {
			conn = wrapper.NetConn()
			continue
		}
		wrapper := reflect.Indirect(reflect.ValueOf(conn))
		if wrapper.Kind() != reflect.Struct {
			return conn
		}
		field, ok := wrapper.Type().FieldByName("Conn")
		if !ok || len(field.Index) != 1 {
			return conn
		}
		inner, ok := reflect.TypeAssert[net.Conn](wrapper.FieldByIndex(field.Index))
		if !ok {
			return conn
		}
		conn = inner
	}
	return conn
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
