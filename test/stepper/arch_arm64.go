package stepper

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// normal is the call as it is: this architecture never had the old forms.
func normal(nr uint64, a [6]uint64) (uint64, [6]uint64) { return nr, a }

// setNumber changes the call that a thread is about to make; -1 for none.
func setNumber(tid, nr int) error {
	number := int32(nr)
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(&number)), Len: 4}
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(tid), unix.NT_ARM_SYSTEM_CALL, uintptr(unsafe.Pointer(&iov)), 0, 0)
	if e != 0 {
		return fmt.Errorf("change the call: %w", e)
	}
	return nil
}

// setReturn changes what a call returns to the thread that has made it.
func setReturn(tid, value int) error {
	var regs unix.PtraceRegs
	err := unix.PtraceGetRegs(tid, &regs)
	if err == nil {
		regs.Regs[0] = uint64(value)
		err = unix.PtraceSetRegs(tid, &regs)
	}
	if err != nil {
		return fmt.Errorf("change the return value: %w", err)
	}
	return nil
}

// oldCalls are those that only normal knows.
func oldCalls() []uint32 { return nil }

// callInstruction is the one that makes a system call.
func callInstruction() []byte { return []byte{0x01, 0x00, 0x00, 0xd4} }

// callRegisters are those of a call with three arguments.
func callRegisters(regs unix.PtraceRegs, nr uint64, args [3]uint64) unix.PtraceRegs {
	regs.Regs[8] = nr
	copy(regs.Regs[:3], args[:])
	return regs
}

func stackPointer(regs *unix.PtraceRegs) uint64 { return regs.Sp }

func returned(regs *unix.PtraceRegs) int { return int(regs.Regs[0]) }
