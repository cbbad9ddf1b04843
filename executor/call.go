package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxAnswer bounds, in bytes, what is read of an answer.
const maxAnswer = 64 << 10

// answer is what the executor said.
type answer struct {
	status int
	header http.Header
	body   []byte // at most maxAnswer
	cut    bool   // there was more
}

// address makes a call that is answered with an address. Its errors are
// *Error.
func (c *Client) address(ctx context.Context, call string, body []byte) (string, error) {
	a, err := c.call(ctx, call, body)
	if err != nil {
		if errors.Is(err, errTooLong) {
			err = &Error{Call: call, Status: a.status, Text: plainText(a.body), Err: fmt.Errorf("%w: %w", ErrBadAddress, errTooLong)}
		}
		return "", err
	}
	address, err := ParseAddress(string(a.body))
	if err != nil {
		return "", &Error{Call: call, Status: a.status, Text: plainText(a.body), Err: err}
	}
	return address, nil
}

// call makes one HTTP call. Its errors are *Error: no answer, a status other
// than 2xx, or more than maxAnswer bytes (errTooLong, wrapped, with the
// answer's beginning).
func (c *Client) call(ctx context.Context, call string, body []byte) (*answer, error) {
	started := time.Now()
	a, err := c.exchange(ctx, call, body)
	code := "error"
	switch {
	case err == nil:
		code = strconv.Itoa(a.status)
	case ctx.Err() != nil:
		code = "canceled"
	}
	c.observe(call, code, time.Since(started))

	switch {
	case err != nil:
		return nil, transportError(ctx, call, err)
	case a.status < 200 || a.status > 299:
		return nil, statusError(call, a, c.now())
	case a.cut:
		return a, &Error{Call: call, Status: a.status, Text: plainText(a.body), Err: errTooLong}
	}
	return a, nil
}

// exchange sends the request and reads the answer. An error means that there
// is no whole answer. Of an answer that is an error by its status, what could
// be read of the text is enough.
func (c *Client) exchange(ctx context.Context, call string, body []byte) (*answer, error) {
	req, err := c.request(ctx, call, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the rest is the URL, which the configuration has
		}
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil && resp.StatusCode <= 299 {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &answer{
		status: resp.StatusCode,
		header: resp.Header,
		body:   text[:min(len(text), maxAnswer)],
		cut:    len(text) > maxAnswer,
	}, nil
}

// request builds a call: a POST under /v2, whichever generation its body is
// of, or the GET that asks for the executor's health.
func (c *Client) request(ctx context.Context, call string, body []byte) (*http.Request, error) {
	method, target := http.MethodPost, c.base.JoinPath("v2", call)
	if call == CallHealth {
		method, target = http.MethodGet, c.base.JoinPath(call)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = headerOf(ctx)
	req.Header.Set("User-Agent", c.agent)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.signer != nil {
		c.signer.Sign(req, body, c.now())
	}
	return req, nil
}
