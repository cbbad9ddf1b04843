package invoke

import "github.com/kubefaas/caddy-kubefaas/h1"

// NewH1Sender makes a Sender of the lean HTTP/1.1 client.
func NewH1Sender(t *h1.Transport) Sender { return NewSender(t) }
