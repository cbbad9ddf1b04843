package kubefaas

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kubefaas/caddy-kubefaas/invoke"
)

func TestTrailersCannotForgeWhatOnlyAHeadMaySay(t *testing.T) {
	names := newHeaderNames("Kubefaas")
	client := http.Header{"X-Sum": nil, "X-Kubefaas-Function-Name": nil, "Host": nil, "X_kubefaas_params_id": nil}
	body := invoke.NewBody(io.NopCloser(strings.NewReader("hello")), -1, 64)
	var out http.Request
	relayTrailer(&out, client, body, &names)
	if len(out.Trailer) != 1 || out.ContentLength != -1 {
		t.Fatalf("announced %v with length %d, want X-Sum alone and chunks", out.Trailer, out.ContentLength)
	}
	// What net/http fills in when the body ends, announced or not.
	for name := range client {
		client[name] = []string{"value"}
	}
	client["X-Kubefaas-Full-Url"] = []string{"/forged"}
	client["X-Late"] = []string{"late"}
	if _, err := io.ReadAll(body.Reader()); err != nil {
		t.Fatal(err)
	}
	if len(out.Trailer) != 2 || out.Trailer.Get("X-Sum") != "value" || out.Trailer.Get("X-Late") != "late" {
		t.Errorf("the trailer is %v, want X-Sum and X-Late alone", out.Trailer)
	}
}
