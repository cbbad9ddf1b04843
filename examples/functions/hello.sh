#!/bin/sh
# A function without a server of its own: `caddy respond` is it. The exec makes
# Caddy the function's process, so that it gets the signals.
exec caddy respond --listen "127.0.0.1:$PORT" \
	--body "Hello from a shell script on $(uname -s), $KUBEFAAS_FUNCTION!"
