package stepper

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// pin keeps the calling thread, and what it starts, on the processor that it runs on: a stop is
// then a switch and not a call from one processor to another. The function returned undoes it.
// Where it is not allowed everything is only slower.
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
