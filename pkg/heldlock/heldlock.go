// Package heldlock reports whether a process holds the flock(2) of a file, and which one, without taking it: a program that takes its lock at that moment, and
// does not wait, would take the reader for another one of itself.
//
// It must not be used to decide whether a lock can be taken: flock(2) does that.
package heldlock

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/safefile"
)

// Set has the process that holds the flock(2) of a file, by device and inode: 0 if it is of another PID namespace. Of several that share one
// it has one.
type Set map[string]int

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
		// Format: "1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF". A line of a waiting process has "->" as its second field.
		words := strings.Fields(line)
		if len(words) <= 5 || words[1] != "FLOCK" {
			continue
		}
		if _, known := held[words[5]]; !known {
			pid, _ := strconv.Atoi(words[4])
			held[words[5]] = max(pid, 0) // the kernel shows 0 or -1 for a process of another PID namespace
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
	_, held := s[id(&info)]
	return held
}

// Holder returns the process that holds the lock of a file, 0 if none does, or one of another PID namespace.
func (s Set) Holder(info *unix.Stat_t) int { return s[id(info)] }

// id identifies a file as /proc/locks does.
func id(info *unix.Stat_t) string {
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(info.Dev), unix.Minor(info.Dev), info.Ino)
}
