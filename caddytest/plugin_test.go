package caddytest

import (
	"strings"
	"testing"
)

func TestCaddyHasThePlugin(t *testing.T) {
	out, _, code := CLI(t, "list-modules", "--skip-standard")
	if code != 0 || !strings.Contains(out, "http.handlers.kubefaas") {
		t.Errorf("list-modules: got code %d, want 0 and the plugin's handler:\n%s", code, out)
	}
}
