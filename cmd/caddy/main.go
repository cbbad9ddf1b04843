// Command caddy is Caddy with its standard modules and this one: what
// `xcaddy build --with github.com/kubefaas/caddy-kubefaas` would build,
// without xcaddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/kubefaas/caddy-kubefaas"
)

func main() { caddycmd.Main() }
