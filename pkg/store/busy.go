package store

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/heldlock"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// ErrBusy is wrapped by a BusyError.
var ErrBusy = errors.New("in use by another process")

// BusyError says that another process has held a lock for too long, and which
// process it is. It wraps ErrBusy.
type BusyError struct {
	Path string
	// Waited is how long this process waited; 0 if it did not wait
	Waited time.Duration
	// PID is the process that holds the lock; 0 if /proc does not show it
	PID int
	// Command is the name in /proc/PID/stat, which the process can choose itself; ""
	// if /proc does not show it
	Command string
	// Stopped says that SIGSTOP or a debugger stopped the process: it keeps the lock until SIGCONT
	Stopped bool
}

// Error returns a text with the process, the time that was waited, and the file.
func (e *BusyError) Error() string {
	text := ErrBusy.Error()
	if e.PID != 0 {
		text += fmt.Sprintf(" (process %d)", e.PID)
	}
	if e.Waited > 0 {
		text += fmt.Sprintf(" for %s", e.Waited.Round(time.Second))
	}
	return text + ": " + e.Path
}

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// busy returns a BusyError about the lock of a file.
func busy(f *os.File, waited time.Duration) *BusyError {
	e := &BusyError{Path: f.Name(), Waited: waited, PID: lockHolder(f)}
	if e.PID == 0 {
		return e
	}
	// Format: "4711 (patchbay) T 1 ...". The name may contain spaces and parentheses.
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", e.PID))
	stat := string(text)
	opened, closed := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if opened > 0 && closed > opened {
		e.Command = stat[opened+1 : closed]
		state := strings.TrimSpace(stat[closed+1:])
		e.Stopped = strings.HasPrefix(state, "T") || strings.HasPrefix(state, "t")
	}
	return e
}

// lockHolder returns the process that holds the flock(2) of a file; 0 if
// /proc/locks does not show it.
func lockHolder(f *os.File) int {
	var stat unix.Stat_t
	if unix.Fstat(int(f.Fd()), &stat) != nil {
		return 0
	}
	held, _ := heldlock.Read()
	return held.Holder(&stat)
}

// mostThreads is the greatest number of threads of a process of which the states are read.
const mostThreads = 1000

// runs reports whether a thread of a process runs, waits for a CPU, or is in the kernel (states R and D of proc(5)). A stopped one does not.
func runs(pid int) bool {
	tasks, _ := safefile.Names(fmt.Sprintf("/proc/%d/task", pid), mostThreads)
	for _, task := range tasks {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, task))
		state := strings.TrimSpace(string(stat[1+strings.LastIndexByte(string(stat), ')'):]))
		if strings.HasPrefix(state, "R") || strings.HasPrefix(state, "D") {
			return true
		}
	}
	return false
}
