package caddytest

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// weighted is a site with two functions behind each trigger.
func weighted(a, b, site string) Config {
	return Caddyfile(fmt.Sprintf(`{
	kubefaas {
		executor static {
			v1 %s
			v2 %s
		}
	}
}
(routes) {
	kubefaas {
		trigger /even v1 50 v2 50
		trigger /tenth v1 90 v2 10
		trigger /none v1 0 v2 1
		trigger /cookie v1 50 v2 50 {
			sticky cookie kf
		}
		trigger /header v1 50 v2 50 {
			sticky header X-User
		}
		trigger /query v1 50 v2 50 {
			sticky query user
		}
		trigger /ip v1 50 v2 50 {
			sticky client_ip
		}
		trigger /ramp v1 50 v2 50 {
			sticky header X-User
		}
		trigger /ramp-up v1 50 v2 200 {
			sticky header X-User
		}
	}
}
http://:{{.HTTP}} {
	import routes
}
%s
`, a, b, site))
}

// startWeighted starts it with functions that say "v1" and "v2".
func startWeighted(t *testing.T, site string) *Caddy {
	t.Helper()
	return Start(t, weighted(NewFunction(t, WithID("v1")).Addr(), NewFunction(t, WithID("v2")).Addr(), site))
}

// shares counts which function answers n requests.
func (c *Caddy) shares(t *testing.T, path string, n int, header func(i int) []string) map[string]int {
	t.Helper()
	got := make(map[string]int)
	for i := range n {
		var h []string
		if header != nil {
			h = header(i)
		}
		got[c.ask(t, http.MethodGet, "a", path, h...).echo(t).Function]++
	}
	return got
}

func TestWeightsDivideTheRequests(t *testing.T) {
	c := startWeighted(t, "")
	for path, test := range map[string]struct{ n, least, most int }{
		// Bounds that a fair draw leaves once in many million runs.
		"/even":  {300, 100, 200},
		"/tenth": {300, 4, 70},
		"/none":  {50, 50, 50},
	} {
		if got := c.shares(t, path, test.n, nil)["v2"]; got < test.least || got > test.most {
			t.Errorf("%s: got %d of %d requests at v2, want %d to %d", path, got, test.n, test.least, test.most)
		}
	}
}

func TestKeyKeepsItsFunction(t *testing.T) {
	c := startWeighted(t, "")
	for path, key := range map[string]func(user int) (path string, header []string){
		"/header": func(user int) (string, []string) { return "/header", []string{"X-User", fmt.Sprint("user-", user)} },
		"/query":  func(user int) (string, []string) { return fmt.Sprint("/query?x=1&user=user-", user), nil },
		"/cookie": func(user int) (string, []string) { return "/cookie", []string{"Cookie", fmt.Sprint("kf=user-", user)} },
	} {
		t.Run(path, func(t *testing.T) {
			users := make(map[string]int)
			for user := range 40 {
				path, header := key(user)
				first := c.ask(t, http.MethodGet, "a", path, header...).echo(t).Function
				users[first]++
				for range 3 {
					if again := c.ask(t, http.MethodGet, "a", path, header...).echo(t).Function; again != first {
						t.Errorf("user %d: got %s after %s, want the same", user, again, first)
					}
				}
			}
			if users["v1"] < 5 || users["v2"] < 5 {
				t.Errorf("got users %v, want some at each function", users)
			}
		})
	}
	if got := c.shares(t, "/ip", 20, nil); len(got) != 1 {
		t.Errorf("got %v for one client's address, want one function", got)
	}
	if got := c.shares(t, "/header", 60, nil); len(got) != 2 {
		t.Errorf("got %v without a key, want both functions", got)
	}
}

// Raising one function's weight moves keys to it, and none away from it.
func TestRaisingAWeightMovesKeysOneWayOnly(t *testing.T) {
	c := startWeighted(t, "")
	moved := 0
	for user := range 60 {
		header := []string{"X-User", fmt.Sprint("user-", user)}
		before := c.ask(t, http.MethodGet, "a", "/ramp", header...).echo(t).Function
		after := c.ask(t, http.MethodGet, "a", "/ramp-up", header...).echo(t).Function
		if before == "v2" && after != "v2" {
			t.Errorf("user %d: got moved off v2 when its weight was raised", user)
		}
		if before != after {
			moved++
		}
	}
	if moved == 0 {
		t.Error("got no user moved to v2 when its weight was raised fourfold, want some")
	}
}

func TestStickyCookieIsSetOnce(t *testing.T) {
	c := startWeighted(t, "")
	first := c.ask(t, http.MethodGet, "a", "/cookie")
	cookie := readCookie(t, first.header)
	if cookie.Name != "kf" || len(cookie.Value) < 16 || cookie.Path != "/" || !cookie.HttpOnly || cookie.Secure || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("got cookie %v, want kf with a long value, Path=/, HttpOnly, SameSite=Lax, and not Secure on http", cookie)
	}
	for range 5 {
		again := c.ask(t, http.MethodGet, "a", "/cookie", "Cookie", "other=1; kf="+cookie.Value)
		if got := again.header.Values("Set-Cookie"); len(got) != 0 {
			t.Errorf("got Set-Cookie %q for a client that has one, want none", got)
		}
		if got, want := again.echo(t).Function, first.echo(t).Function; got != want {
			t.Errorf("got %s, want %s as with the first request", got, want)
		}
	}
	if other := readCookie(t, c.ask(t, http.MethodGet, "a", "/cookie").header); other.Value == cookie.Value {
		t.Errorf("got the same cookie for another client: %v", other)
	}
}

func TestStickyCookieIsSecureOnTLS(t *testing.T) {
	cert, key := certificate(t)
	c := startWeighted(t, fmt.Sprintf("https://localhost:{{.HTTPS}} {\n\ttls %s %s\n\timport routes\n}", cert, key))
	client := &http.Client{Transport: &http.Transport{
		DialContext:     loopbackDial,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(fmt.Sprintf("https://localhost:%d/cookie", c.HTTPSPort()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if cookie := readCookie(t, resp.Header); !cookie.Secure || !cookie.HttpOnly {
		t.Errorf("got cookie %v over TLS, want it Secure and HttpOnly", cookie)
	}
}

// readCookie returns the only cookie that an answer sets.
func readCookie(t *testing.T, h http.Header) *http.Cookie {
	t.Helper()
	lines := h.Values("Set-Cookie")
	if len(lines) != 1 {
		t.Fatalf("got Set-Cookie %q, want one", lines)
	}
	cookie, err := http.ParseSetCookie(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}
