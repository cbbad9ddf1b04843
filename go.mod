module github.com/kubefaas/caddy-kubefaas

go 1.26.0

require (
	github.com/caddyserver/caddy/v2 v2.11.9
	github.com/cenkalti/backoff/v4 v4.3.0
)
