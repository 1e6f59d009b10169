package stepper

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// pin keeps the calling thread and its children on its current CPU, so that a ptrace stop is a context switch and not an interrupt of
// another CPU. The returned function undoes it. If it is not permitted, stepping is only slower.
func pin() (undo func()) {
	var before, here unix.CPUSet
	var cpu uint32
	_, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	if e != 0 || unix.SchedGetaffinity(0, &before) != nil {
		return func() {}
	}
	here.Set(int(cpu))
	_ = unix.SchedSetaffinity(0, &here)
	return func() { _ = unix.SchedSetaffinity(0, &before) }
}
