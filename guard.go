package kubefaas

import (
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/kubefaas/caddy-kubefaas/executor/process"
)

// guardArg, as the only argument, turns any program that this package is
// linked into into the guard of local functions: whatever its main function
// is, an init function runs before it. No command of Caddy bears this name.
const guardArg = "kubefaas-guard"

func init() {
	if len(os.Args) == 2 && os.Args[1] == guardArg {
		runGuard()
		os.Exit(0)
	}
}

// runGuard waits for the end of the process that started this one, and kills
// what its functions have left. It goes only when its standard input ends: the
// signals that end a whole service or terminal at once must not make it leave
// before those that it guards against are gone.
func runGuard() {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	debug.FreeOSMemory() // what other packages needed to set themselves up
	process.RunGuard(os.Stdin)
}

// guardCommand is how this very program is run as a guard; nil if nobody knows
// where it is.
func guardCommand() []string {
	if runtime.GOOS == "linux" {
		// Also right when the file has been replaced or removed since.
		return []string{"/proc/self/exe", guardArg}
	}
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{exe, guardArg}
}
