package stepper

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// normalize returns a call in the form that exists on every architecture: legacy calls become those with a directory descriptor.
func normalize(nr uint64, a [6]uint64) (uint64, [6]uint64) {
	here := uint64(0xffffff9c) // AT_FDCWD
	switch nr {
	case unix.SYS_OPEN:
		return unix.SYS_OPENAT, [6]uint64{here, a[0], a[1], a[2]}
	case unix.SYS_CREAT:
		return unix.SYS_OPENAT, [6]uint64{here, a[0], unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY, a[1]}
	case unix.SYS_UNLINK:
		return unix.SYS_UNLINKAT, [6]uint64{here, a[0]}
	case unix.SYS_RMDIR:
		return unix.SYS_UNLINKAT, [6]uint64{here, a[0], unix.AT_REMOVEDIR}
	case unix.SYS_RENAME:
		return unix.SYS_RENAMEAT, [6]uint64{here, a[0], here, a[1]}
	case unix.SYS_MKDIR:
		return unix.SYS_MKDIRAT, [6]uint64{here, a[0], a[1]}
	case unix.SYS_LINK:
		return unix.SYS_LINKAT, [6]uint64{here, a[0], here, a[1]}
	case unix.SYS_SYMLINK:
		return unix.SYS_SYMLINKAT, [6]uint64{a[0], here, a[1]}
	case unix.SYS_MKNOD:
		return unix.SYS_MKNODAT, [6]uint64{here, a[0]}
	case unix.SYS_CHMOD:
		return unix.SYS_FCHMODAT, [6]uint64{here, a[0]}
	case unix.SYS_CHOWN, unix.SYS_LCHOWN:
		return unix.SYS_FCHOWNAT, [6]uint64{here, a[0]}
	case unix.SYS_FORK, unix.SYS_VFORK:
		return unix.SYS_CLONE, [6]uint64{}
	}
	return nr, a
}

// setNumber replaces the number of the call that a thread is about to make; -1 skips it.
func setNumber(tid, nr int) error {
	var regs unix.PtraceRegs
	err := unix.PtraceGetRegs(tid, &regs)
	if err == nil {
		regs.Orig_rax = uint64(nr)
		err = unix.PtraceSetRegs(tid, &regs)
	}
	if err != nil {
		return fmt.Errorf("change the call: %w", err)
	}
	return nil
}

// setReturn replaces the return value of a call.
func setReturn(tid, value int) error {
	var regs unix.PtraceRegs
	err := unix.PtraceGetRegs(tid, &regs)
	if err == nil {
		regs.Rax = uint64(value)
		err = unix.PtraceSetRegs(tid, &regs)
	}
	if err != nil {
		return fmt.Errorf("change the return value: %w", err)
	}
	return nil
}

// legacyCalls returns the calls that normalize replaces.
func legacyCalls() []uint32 {
	return []uint32{
		unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_UNLINK, unix.SYS_RMDIR, unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_LINK, unix.SYS_SYMLINK,
		unix.SYS_MKNOD, unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_FORK, unix.SYS_VFORK,
	}
}

// callInstruction returns the machine code of the system call instruction.
func callInstruction() []byte { return []byte{0x0f, 0x05} }

// callRegisters returns regs set for a call with three arguments.
func callRegisters(regs unix.PtraceRegs, nr uint64, args [3]uint64) unix.PtraceRegs {
	regs.Rax, regs.Orig_rax = nr, ^uint64(0)
	regs.Rdi, regs.Rsi, regs.Rdx = args[0], args[1], args[2]
	return regs
}

func stackPointer(regs *unix.PtraceRegs) uint64 { return regs.Rsp }

func returned(regs *unix.PtraceRegs) int { return int(regs.Rax) }
