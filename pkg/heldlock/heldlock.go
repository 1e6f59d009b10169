// Package heldlock reports whether a process holds the flock(2) of a file, without taking it: a program that takes its lock at that moment, and
// does not wait, would take the reader for another one of itself.
//
// It must not be used to decide whether a lock can be taken: flock(2) does that.
package heldlock

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Set is the files whose flock(2) a process of the host holds or waits for, by device and inode.
type Set map[string]bool

// mostBytes is how much of /proc/locks is read.
const mostBytes = 16 << 20

// Read returns the locks of this moment, from /proc/locks (proc(5)).
func Read() (Set, error) {
	text, err := safefile.Read("/proc/locks", safefile.Rules{AnyOwner: true, MaxBytes: mostBytes})
	if err != nil {
		return nil, err
	}
	held := Set{}
	for line := range strings.Lines(string(text)) {
		// Format: "1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF".
		if words := strings.Fields(line); len(words) > 5 && words[1] == "FLOCK" {
			held[words[5]] = true
		}
	}
	return held, nil
}

// Has reports whether a process holds the lock of a file; false if there is no such file.
func (s Set) Has(path string) bool {
	var info unix.Stat_t
	if err := unix.Lstat(path, &info); err != nil {
		return false
	}
	return s[fmt.Sprintf("%02x:%02x:%d", unix.Major(info.Dev), unix.Minor(info.Dev), info.Ino)]
}
