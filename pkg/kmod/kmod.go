// Package kmod lets one process at a time make the kernel load a module.
//
//	unlock := kmod.Lock("nf_tables")
//	conn, err := nfnl.Open() // loads it
//	unlock()
//
// A request of the kernel for a missing module starts modprobe(8), each time: a hundred processes that ask for the same module at once start a
// hundred. The kernel runs 50 of them (MAX_KMOD_CONCURRENT, kernel/module/kmod.c); a request that waits for more than 5 s for its turn fails as
// if there were no such module. On a node that has just booted these are the first ADDs.
//
// It loads nothing itself and needs no privilege.
package kmod

import (
	"bytes"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a process waits for others that load modules, within the 75 s of a verb. It then goes on without the lock.
const patience = 60 * time.Second

// lockFile is what processes lock: a file that always exists, and that only root can open, so that no other user can hold the lock.
// flock(2) works on any file, and the content does not matter.
const lockFile = "/proc/sys/kernel/usermodehelper/inheritable"

// Lock waits until no other process loads modules, and reports whether a module is missing. If it is loaded already or part of the kernel, or
// the kernel loads none, it does not wait. Call unlock after the request that makes the kernel load it.
func Lock(module string) (unlock func(), missing bool) {
	if exists("/sys/module/"+module) || !exists("/proc/modules") || isBuiltIn(module) {
		return func() {}, false
	}
	return wait(), true
}

// wait waits until no other process has the lock, for patience.
func wait() (unlock func()) {
	f, err := os.Open(lockFile)
	if err != nil { // in a user namespace, which cannot load modules
		return func() {}
	}
	release := func() { f.Close() }
	locked := make(chan struct{})
	go func() {
		defer close(locked)
		for unix.Flock(int(f.Fd()), unix.LOCK_EX) == unix.EINTR { // of the Go runtime's signals
			continue
		}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-locked:
		return release
	case <-timer.C:
		go func() { <-locked; release() }()
		return func() {}
	}
}

// isBuiltIn reports whether depmod(8) lists a module as a part of the kernel that runs. Such a one has no directory in /sys/module unless it has
// parameters. Where the list cannot be read, as in a container, the answer is false, which costs a lock.
func isBuiltIn(module string) bool {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return false
	}
	list, _ := os.ReadFile("/lib/modules/" + unix.ByteSliceToString(name.Release[:]) + "/modules.builtin")
	return lists(list, module)
}

// lists reports whether a list of paths, "kernel/net/netfilter/nf_tables.ko", has a module.
func lists(paths []byte, module string) bool {
	return bytes.Contains(paths, []byte("/"+module+".ko\n"))
}

func exists(path string) bool {
	var stat unix.Stat_t
	return unix.Stat(path, &stat) == nil
}
