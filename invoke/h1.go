package invoke

import (
	"errors"
	"net/http"

	"github.com/kubefaas/caddy-kubefaas/h1"
)

// NewH1Sender makes a Sender of the lean HTTP/1.1 client.
func NewH1Sender(t *h1.Transport) Sender { return lean{t} }

type lean struct{ transport *h1.Transport }

// Send makes the exchange.
func (l lean) Send(req *http.Request, o SendOptions) (*http.Response, error) {
	resp, err := l.transport.RoundTripWith(req, h1.Options{HeadTimeout: o.Timeout, Informational: o.Informational})
	switch {
	case err == nil:
		return resp, nil
	case errors.Is(err, h1.ErrHeadTimeout):
		return nil, ErrFunctionTimeout
	case errors.Is(err, h1.ErrBodyStalled):
		return nil, ErrBodyStalled
	case errors.Is(err, h1.ErrInvalidRequest):
		return nil, &InvalidRequestError{Err: err}
	}
	return nil, err
}
