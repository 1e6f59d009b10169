package stepper

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// normalize returns the call unchanged: arm64 has no legacy calls.
func normalize(nr uint64, a [6]uint64) (uint64, [6]uint64) { return nr, a }

// setNumber replaces the number of the call that a thread is about to make; -1 skips it.
func setNumber(tid, nr int) error {
	number := int32(nr)
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(&number)), Len: 4}
	_, _, e := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(tid), unix.NT_ARM_SYSTEM_CALL, uintptr(unsafe.Pointer(&iov)), 0, 0)
	if e != 0 {
		return fmt.Errorf("change the call: %w", e)
	}
	return nil
}

// setReturn replaces the return value of a call.
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

// legacyCalls returns the calls that normalize replaces.
func legacyCalls() []uint32 { return nil }

// callInstruction returns the machine code of the system call instruction.
func callInstruction() []byte { return []byte{0x01, 0x00, 0x00, 0xd4} }

// callRegisters returns regs set for a call with three arguments.
func callRegisters(regs unix.PtraceRegs, nr uint64, args [3]uint64) unix.PtraceRegs {
	regs.Regs[8] = nr
	copy(regs.Regs[:3], args[:])
	return regs
}

func stackPointer(regs *unix.PtraceRegs) uint64 { return regs.Sp }

func returned(regs *unix.PtraceRegs) int { return int(regs.Regs[0]) }
