package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// load is the CPU time used so far, in seconds. Load by other programs slows down all contenders, but not all by the same factor.
type load struct {
	all, own, idle float64
}

// loadNow reads /proc/stat (proc(5)); own is the time of this process and its plugins.
func loadNow() (load, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	l := load{}
	const idle, iowait, steal = 3, 4, 7 // guest time is part of user time
	for i, field := range strings.Fields(line)[1:] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return load{}, fmt.Errorf("read /proc/stat: %w", err)
		}
		if i <= steal {
			l.all += ticks / 100
		}
		if i == idle || i == iowait {
			l.idle += ticks / 100
		}
	}
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var used unix.Rusage
		if err := unix.Getrusage(who, &used); err != nil {
			return load{}, err
		}
		l.own += seconds(used.Utime) + seconds(used.Stime)
	}
	return l, nil
}

func seconds(t unix.Timeval) float64 { return float64(t.Nano()) / 1e9 }

// others returns the share of the CPU time since before, 0 to 1, that was used by other programs. Kernel threads that work for this program
// count as others: a few hundredths.
func (l load) others(before load) float64 {
	all := l.all - before.all
	if all <= 0 {
		return 0
	}
	return max(0, (all-(l.own-before.own)-(l.idle-before.idle))/all)
}
