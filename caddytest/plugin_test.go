package caddytest

import (
	"fmt"
	"strings"
	"testing"
)

// helloAt is the shortest configuration that routes to a function.
func helloAt(addr string) Config {
	return Caddyfile(fmt.Sprintf(`{
	kubefaas {
		executor static {
			hello %s
		}
	}
}
http://:{{.HTTP}} {
	kubefaas /hello hello
}
`, addr))
}

func TestCaddyHasThePlugin(t *testing.T) {
	out, _, code := CLI(t, "list-modules", "--skip-standard")
	if code != 0 || !strings.Contains(out, "http.handlers.kubefaas") {
		t.Errorf("list-modules: got code %d, want 0 and the plugin's handler:\n%s", code, out)
	}
}

func TestCaddyReachesTheFunctionOfATest(t *testing.T) {
	for name, opts := range map[string][]Option{"inside": nil, "process": {Process()}} {
		t.Run(name, func(t *testing.T) {
			f := NewFunction(t)
			c := Start(t, helloAt(f.Addr()), opts...)
			resp, err := c.Client().Get(c.URL("/hello"))
			if err != nil {
				t.Fatal(err)
			}
			if got := ReadEcho(t, resp).Function; got != f.ID() {
				t.Errorf("got an answer of %q, want one of %q", got, f.ID())
			}
		})
	}
}
