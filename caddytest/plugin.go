package caddytest

import _ "github.com/kubefaas/caddy-kubefaas" // what all of this is for
