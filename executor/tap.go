package executor

import (
	"context"
	"errors"

	"github.com/kubefaas/caddy-kubefaas/function"
)

// Tap sends one batch, and retries within ctx what is temporary. A 404 says
// that some address is no longer known and that the others are tapped: it is
// routine and no error, but Options.Observe sees it.
func (c *Client) Tap(ctx context.Context, taps []Tap) error {
	if len(taps) == 0 {
		return nil
	}
	batch := make([]wireTap, len(taps))
	for i, t := range taps {
		batch[i] = tapOf(t, "http://"+t.Address)
	}
	err := c.send(ctx, CallTap, encode(batch))
	if e, ok := errors.AsType[*Error](err); ok && e.NotFound() {
		return nil
	}
	return err
}

// Untap retries within ctx what is temporary. Only the pool manager counts
// requests; for a function of any other type nothing is sent.
func (c *Client) Untap(ctx context.Context, t Tap) error {
	if typeOf(t.Function) != function.PoolManager {
		return nil
	}
	return c.send(ctx, CallUntap, encode(tapOf(t, t.Address))) // bare, unlike a tap's: the API is so
}

func tapOf(t Tap, serviceURL string) wireTap {
	return wireTap{FnMetadata: idOf(t.Function), FnExecutorType: typeOf(t.Function), ServiceURL: serviceURL}
}

// send makes a call whose answer does not matter.
func (c *Client) send(ctx context.Context, call string, body []byte) error {
	return Retry(ctx, c.backoff(), func() error {
		_, err := c.call(ctx, call, body)
		return err
	})
}
