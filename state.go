package kubefaas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/kubefaas/caddy-kubefaas/endpoint"
	"github.com/kubefaas/caddy-kubefaas/executor/process"
	"github.com/kubefaas/caddy-kubefaas/function"
	"github.com/kubefaas/caddy-kubefaas/h1"
	"github.com/kubefaas/caddy-kubefaas/invoke"
)

// statePool keeps what must outlive a configuration reload: addresses, waiting
// requests, connections, processes and counts. A reload provisions the new
// configuration before it cleans the old one up, so the one value in here
// lives as long as any configuration with this app does. What makes an
// address useless (another executor, other metadata) is part of the key under
// which it is cached, so one state serves all configurations.
var statePool = caddy.NewUsagePool()

// stateKey is the only key of statePool.
const stateKey = "state"

// state is that value.
type state struct {
	endpoints *endpoint.Pool
	invoker   *invoke.Invoker
	http      *h1.Transport
	h2c       *http.Transport
	senders   struct{ http, h2c invoke.Sender }
	taps      *tapper
	log       liveLog
	logger    *zap.Logger // writes to log
	// handover are connections that found a local program ready, by address,
	// for the readiness probe to take instead of dialling once more.
	handover sync.Map

	mu      sync.Mutex
	runtime *process.Runtime // nil until a process executor is configured
	active  []*App           // the configurations in use, the latest last
}

// joinState takes a reference to the state, and makes it if there is none.
// Each call needs one of leaveState.
func joinState(logger *zap.Logger) (*state, error) {
	v, _, err := statePool.LoadOrNew(stateKey, func() (caddy.Destructor, error) { return newState(logger), nil })
	if err != nil {
		return nil, fmt.Errorf("making the shared state: %w", err)
	}
	return v.(*state), nil
}

func leaveState() error {
	_, err := statePool.Delete(stateKey)
	return err
}

// currentState is the state, if a configuration has one.
func currentState() *state {
	var s *state
	statePool.Range(func(_, value any) bool {
		s = value.(*state)
		return false
	})
	return s
}

// functionIdle is how long a connection to a function is kept unused. It is
// below the time after which common servers close theirs (Node: 5 s), since a
// request on a connection that is just being closed may be lost.
const functionIdle = 4 * time.Second

func newState(logger *zap.Logger) *state {
	s := new(state)
	s.log.set(logger)
	s.logger = s.log.logger(appID)
	s.endpoints = endpoint.New(endpoint.Options{Dial: s.probe, Events: s.events()})
	s.invoker = &invoke.Invoker{Endpoints: s.endpoints, Held: new(invoke.Budget), Attempted: countAttempt}
	dial := s.invoker.Dialer()
	s.http = &h1.Transport{Dial: dial, IdleTimeout: functionIdle}
	s.h2c = h2cTransport(dial)
	s.senders.http = invoke.NewH1Sender(s.http)
	s.senders.h2c = invoke.NewSender(s.h2c)
	s.taps = newTapper(s.endpoints, s.logger)
	return s
}

// h2cTransport speaks HTTP/2 without TLS.
func h2cTransport(dial func(context.Context, string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		DialContext:        func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) },
		Protocols:          protocols,
		DisableCompression: true,
		IdleConnTimeout:    time.Minute,
		HTTP2:              &http.HTTP2Config{SendPingTimeout: 15 * time.Second},
	}
}

// sender is what speaks the function's protocol.
func (s *state) sender(fn *function.Function) invoke.Sender {
	if fn.Protocol == function.H2C {
		return s.senders.h2c
	}
	return s.senders.http
}

// probe connects to an address to see whether it listens.
func (s *state) probe(ctx context.Context, addr string) (net.Conn, error) {
	if conn, ok := s.handover.LoadAndDelete(addr); ok {
		return conn.(net.Conn), nil
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// handOverTime is how long the connection that found a program ready is kept
// for the probe: one that nobody asks for is not to keep a program busy that
// serves one connection at a time.
const handOverTime = time.Second

func (s *state) handOver(addr string, conn net.Conn) {
	if old, ok := s.handover.Swap(addr, conn); ok {
		_ = old.(net.Conn).Close()
	}
	time.AfterFunc(handOverTime, func() {
		if s.handover.CompareAndDelete(addr, conn) {
			_ = conn.Close()
		}
	})
}

// programs is the runtime of local functions, made when it is first needed.
func (s *state) programs() *process.Runtime {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runtime == nil {
		s.runtime = process.NewRuntime(s.endpoints, process.Options{
			Logger: s.logger.Named("process"),
			Events: tellProcessEvent,
			Guard:  guardCommand(),
			Stash: func(addr string, conn net.Conn) bool {
				s.handOver(addr, conn)
				return true
			},
		})
	}
	return s.runtime
}

// watch notes that a configuration is in use.
func (s *state) watch(a *App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, a)
	s.log.set(a.logger)
}

// current is the configuration that was started last; nil if there is none.
func (s *state) current() *App {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.active) == 0 {
		return nil
	}
	return s.active[len(s.active)-1]
}

// unwatch notes that a configuration is not in use any more. Addresses of
// functions whose metadata no remaining configuration has are forgotten.
func (s *state) unwatch(a *App) {
	s.mu.Lock()
	s.active = slices.DeleteFunc(s.active, func(b *App) bool { return a == b })
	apps := slices.Clone(s.active)
	if len(apps) > 0 {
		s.log.set(apps[len(apps)-1].logger)
	}
	s.mu.Unlock()
	s.endpoints.Prune(func(key function.Key) bool {
		for _, app := range apps {
			fn := app.function(function.Ref{Namespace: key.Namespace, Name: key.Name})
			if fn.Key() == key {
				return true
			}
		}
		return false
	})
}

// stopTimeout bounds how long the end of the last configuration waits for
// local functions to stop.
const stopTimeout = 20 * time.Second

// lateInterval is how often it is looked whether the requests of the last
// configuration have ended; lateTimeout bounds how long they are left alone.
const (
	lateInterval = 100 * time.Millisecond
	lateTimeout  = 5 * time.Minute
)

// Destruct ends everything: the last configuration with this app is gone. Its
// requests may still be under way; unless Caddy itself ends, they are let
// finish.
func (s *state) Destruct() error {
	if caddy.Exiting() || s.quiet() {
		return s.end()
	}
	go func() {
		for deadline := time.Now().Add(lateTimeout); !s.quiet() && !caddy.Exiting() && time.Now().Before(deadline); {
			time.Sleep(lateInterval)
		}
		if err := s.end(); err != nil {
			s.logger.Error("ending the function router", zap.Error(err))
		}
	}()
	return nil
}

// quiet says whether no request waits for a function, is at one, or is between two
// attempts.
func (s *state) quiet() bool {
	if s.invoker.Active() > 0 {
		return false
	}
	for _, f := range s.endpoints.Snapshot() {
		if f.Waiting > 0 || f.InFlight > 0 {
			return false
		}
	}
	return true
}

func (s *state) end() error {
	s.taps.stop()
	s.mu.Lock()
	runtime := s.runtime
	s.mu.Unlock()
	var err error
	if runtime != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err = runtime.Close(ctx)
	}
	s.endpoints.Close()
	s.http.CloseIdleConnections()
	s.h2c.CloseIdleConnections()
	s.handover.Range(func(key, conn any) bool {
		s.handover.Delete(key)
		_ = conn.(net.Conn).Close()
		return true
	})
	return err
}

// events say in the log what becomes of functions' addresses.
func (s *state) events() endpoint.Events {
	name := func(fn *function.Function) zap.Field { return zap.String("function", fn.Ref.String()) }
	return endpoint.Events{
		Started: func(fn *function.Function) {
			s.logger.Info("starting function", name(fn))
		},
		Ready: func(fn *function.Function, addr string, p endpoint.Phases) {
			countColdStart(s.label(fn.Ref))
			s.logger.Info("function started", name(fn), zap.String("address", addr),
				zap.Duration("start", p.Start), zap.Duration("dial", p.Dial), zap.Duration("total", p.Start+p.Dial))
		},
		Changed: func(fn *function.Function, old, now []string) {
			for _, addr := range old {
				if !slices.Contains(now, addr) {
					s.taps.release(fn, addr)
				}
			}
			s.logger.Info("function's address changed", name(fn), zap.Strings("from", old), zap.Strings("to", now))
		},
		Invalidated: func(fn *function.Function, addr string, why error) {
			s.http.CloseAddr(addr)
			s.taps.release(fn, addr)
			s.logger.Info("function's address invalidated", name(fn), zap.String("address", addr), zap.NamedError("reason", why))
		},
		Failed: func(fn *function.Function, err error) {
			if errors.Is(err, process.ErrAtMaximum) {
				s.logger.Debug("function has as many instances as it may", name(fn))
				return
			}
			s.logger.Error("function did not start", name(fn), zap.String("reason", fail(err).reason), zap.Error(err))
		},
	}
}

// unknownName stands in labels for a function that only a request has named.
const unknownName = "_other"

// label is a function as metrics call it.
func (s *state) label(ref function.Ref) function.Ref {
	if a := s.current(); a == nil || !a.knows(ref) {
		return function.Ref{Namespace: unknownName, Name: unknownName}
	}
	return ref
}

// knows says whether a function has been heard of: in the configuration, or by
// the executor.
func (a *App) knows(ref function.Ref) bool {
	if a.known[ref] {
		return true
	}
	e, ok := a.executor.(interface{ Knows(function.Ref) bool })
	return ok && e.Knows(ref)
}
