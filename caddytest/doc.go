// Package caddytest runs the plugin inside a real Caddy, in front of real
// functions, for the tests of this module and for its benchmarks.
//
// A package that uses it hands its TestMain over, so that the test binary can
// also become a Caddy or a function in a process of its own:
//
//	func TestMain(m *testing.M) { caddytest.Main(m) }
//
// A test then starts what it needs and writes only its own part of the
// configuration:
//
//	f := caddytest.NewFunction(t)
//	c := caddytest.Start(t, caddytest.Caddyfile(`
//	{
//		kubefaas {
//			executor static {
//				hello `+f.Addr()+`
//			}
//		}
//	}
//	http://:{{.HTTP}} {
//		kubefaas /hello hello
//	}`))
//	resp, err := c.Client().Get(c.URL("/hello"))
//
// Nothing here skips: what cannot start fails the test and prints Caddy's log.
package caddytest
