// Package grpctest calls gRPC functions through the router with the real
// library. It is a module of its own, so that gRPC lands in nobody's Caddy.
package grpctest

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/kubefaas/caddy-kubefaas/caddytest"
)

func TestMain(m *testing.M) { caddytest.Main(m) }

// desc is a service with a call of each kind of stream.
var desc = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName: "Chat", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			for {
				var m wrapperspb.StringValue
				if err := stream.RecvMsg(&m); err == io.EOF {
					stream.SetTrailer(metadata.Pairs("x-trailer", "done"))
					return nil
				} else if err != nil {
					return err
				}
				if m.GetValue() == "fail" {
					return status.Error(codes.ResourceExhausted, "as you wish")
				}
				if err := stream.SendMsg(wrapperspb.String("echo " + m.GetValue())); err != nil {
					return err
				}
			}
		},
	}},
}

// function starts a gRPC server and returns its address.
func function(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	h := health.NewServer()
	h.SetServingStatus("up", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, h)
	s.RegisterService(&desc, nil)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// connect returns a client of the function behind Caddy.
func connect(t *testing.T) *grpc.ClientConn {
	t.Helper()
	c := caddytest.Start(t, caddytest.Caddyfile(`
{
	servers {
		protocols h1 h2c
	}
	kubefaas {
		executor static {
			echo `+function(t)+`
		}
		function echo {
			protocol h2c
		}
	}
}
http://:{{.HTTP}} {
	kubefaas echo
}`))
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:"+strconv.Itoa(c.HTTPPort()), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestGRPCCallsReachTheFunction(t *testing.T) {
	conn := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	client := healthpb.NewHealthClient(conn)
	resp, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "up"})
	if err != nil || resp.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("Check answered %v, %v; want SERVING", resp, err)
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "unheard of"}); status.Code(err) != codes.NotFound {
		t.Errorf("Check of an unknown service: %v; want the function's own NotFound", err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "up"})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("the stream's first message is %v, %v; want SERVING", m, err)
	}
}

func TestGRPCStreamsFlowBothWays(t *testing.T) {
	conn := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &desc.Streams[0], "/test.Echo/Chat")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		say := fmt.Sprint("message ", n)
		if err := stream.SendMsg(wrapperspb.String(say)); err != nil {
			t.Fatal(err)
		}
		var m wrapperspb.StringValue
		if err := stream.RecvMsg(&m); err != nil || m.GetValue() != "echo "+say {
			t.Fatalf("got %q, %v; want the echo of %q before the next is sent", m.GetValue(), err, say)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != io.EOF {
		t.Errorf("the stream ended with %v, want EOF", err)
	}
	if got := stream.Trailer().Get("x-trailer"); len(got) != 1 || got[0] != "done" {
		t.Errorf("the trailer is %q, want done", got)
	}
}

func TestAGRPCFunctionsErrorIsItsOwn(t *testing.T) {
	conn := connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &desc.Streams[0], "/test.Echo/Chat")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(wrapperspb.String("fail")); err != nil {
		t.Fatal(err)
	}
	err = stream.RecvMsg(new(wrapperspb.StringValue))
	if s := status.Convert(err); s.Code() != codes.ResourceExhausted || s.Message() != "as you wish" {
		t.Errorf("the call ended with %v, want the function's ResourceExhausted", err)
	}
}
