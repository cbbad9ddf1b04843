package process

import (
	"os/exec"
	"syscall"
	"unsafe"
)

// dieWithUs asks the kernel to kill the program when the thread that starts
// it ends: see starter for the thread.
func dieWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// awaitExit blocks until the process has ended, and leaves it to be reaped.
// As long as it is not, nobody else can get its number.
func awaitExit(cmd *exec.Cmd) {
	const byPid = 1     // P_PID
	var info [16]uint64 // siginfo_t: 128 bytes, of which nothing is read
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(cmd.Process.Pid),
			uintptr(unsafe.Pointer(&info)), syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}
