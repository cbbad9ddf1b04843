package kubefaas

import (
	"sync/atomic"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
)

// processEvents is told of what local functions do; `caddy kubefaas run` shows
// it on the terminal.
var processEvents atomic.Pointer[func(process.Event)]

func tellProcessEvent(e process.Event) {
	if tell := processEvents.Load(); tell != nil {
		(*tell)(e)
	}
}
