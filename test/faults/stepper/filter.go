package stepper

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Most calls of a Go program concern its own memory and threads, and a stop costs more than the call. A seccomp filter stops the program
// only at calls that may be reported. The tracer makes the program install the filter as its first call after exec.

// tracedCalls returns the calls that classify knows and every architecture has.
func tracedCalls() []uint32 {
	return []uint32{
		unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_UNLINKAT,
		unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_TRUNCATE, unix.SYS_SETXATTR,
		unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FCHMOD, unix.SYS_FCHOWN,
		unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG,
		unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_GETDENTS64, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_FLOCK,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_MOVE_MOUNT, unix.SYS_PIVOT_ROOT, unix.SYS_EXECVE, unix.SYS_EXECVEAT,
		unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_IOCTL, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
	}
}

// filterProgram returns a struct sock_fprog for the address at, followed by the filter program.
func filterProgram(at uint64) []byte {
	calls := append(tracedCalls(), legacyCalls()...)
	instruction := func(out []byte, code uint16, yes uint8, k uint32) []byte {
		out = binary.NativeEndian.AppendUint16(out, code)
		return binary.NativeEndian.AppendUint32(append(out, yes, 0), k)
	}
	out := binary.NativeEndian.AppendUint64(nil, uint64(len(calls)+3))
	out = binary.NativeEndian.AppendUint64(out, at+16)
	out = instruction(out, unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0) // the number of the call
	for i, nr := range calls {
		out = instruction(out, unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, uint8(len(calls)-i), nr)
	}
	out = instruction(out, unix.BPF_RET|unix.BPF_K, 0, unix.SECCOMP_RET_ALLOW)
	return instruction(out, unix.BPF_RET|unix.BPF_K, 0, unix.SECCOMP_RET_TRACE)
}

// install makes the program, stopped at its first instruction, install the filter.
func (t *tracer) install() error {
	var saved unix.PtraceRegs
	if err := unix.PtraceGetRegs(t.pid, &saved); err != nil {
		return fmt.Errorf("read registers: %w", err)
	}
	at := (stackPointer(&saved) - 4096) &^ 15
	if err := t.write(at, filterProgram(at)); err != nil {
		return err
	}
	instruction := make([]byte, 8)
	where := uintptr(saved.PC())
	if _, err := unix.PtracePeekText(t.pid, where, instruction); err != nil {
		return fmt.Errorf("read the first instruction: %w", err)
	}
	made, err := t.makeCall(where, callRegisters(saved, unix.SYS_SECCOMP, [3]uint64{unix.SECCOMP_SET_MODE_FILTER, 0, at}))
	if err == nil && made != 0 {
		err = fmt.Errorf("set seccomp filter: %w", unix.Errno(-made))
	}
	_, back := unix.PtracePokeText(t.pid, where, instruction)
	return errors.Join(err, back, unix.PtraceSetRegs(t.pid, &saved))
}

// makeCall runs one system call of the stopped program and returns its result.
func (t *tracer) makeCall(where uintptr, regs unix.PtraceRegs) (int, error) {
	if _, err := unix.PtracePokeText(t.pid, where, callInstruction()); err != nil {
		return 0, fmt.Errorf("write instruction: %w", err)
	}
	if err := unix.PtraceSetRegs(t.pid, &regs); err != nil {
		return 0, fmt.Errorf("set registers: %w", err)
	}
	for range 2 { // before the call, and after it
		var ws unix.WaitStatus
		if err := unix.PtraceSyscall(t.pid, 0); err != nil {
			return 0, fmt.Errorf("make a call: %w", err)
		}
		if _, err := unix.Wait4(t.pid, &ws, unix.WALL, nil); err != nil || !ws.Stopped() || ws.StopSignal() != syscallStop {
			return 0, fmt.Errorf("make a call: stopped with status %#x: %w", ws, err)
		}
	}
	if err := unix.PtraceGetRegs(t.pid, &regs); err != nil {
		return 0, fmt.Errorf("read result: %w", err)
	}
	return returned(&regs), nil
}
