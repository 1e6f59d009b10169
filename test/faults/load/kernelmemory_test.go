package load

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// kernelMemory moves this process, and so every program that it starts, into a memory cgroup of its own, and returns a function that reads how many
// KiB of the kernel's memory are charged to it after the kernel has reclaimed what it can: network namespaces, links, rules and their
// elements, sockets. The function returns false where no such cgroup can be made.
func kernelMemory(t *testing.T) func() (float64, bool) {
	t.Helper()
	for _, h := range hierarchies() {
		dir := filepath.Join(h.parent, fmt.Sprintf("patchbay-soak-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		read := func() (float64, bool) {
			_ = os.WriteFile(filepath.Join(dir, h.reclaim), []byte(h.amount), 0) // what remains is the point, not how much it was
			text, err := os.ReadFile(filepath.Join(dir, h.file))
			m := h.value.FindSubmatch(text)
			if err != nil || m == nil {
				return 0, false
			}
			n, err := strconv.ParseFloat(string(m[1]), 64)
			return n / 1024, err == nil
		}
		if _, measured := read(); !measured || move(dir) != nil {
			_ = os.Remove(dir)
			continue
		}
		t.Cleanup(func() {
			if err := move(h.own); err != nil {
				t.Errorf("leave the cgroup: %v", err)
			}
			if err := os.Remove(dir); err != nil {
				t.Logf("remove the cgroup: %v", err) // a program that it started may still be ending
			}
		})
		return read
	}
	return func() (float64, bool) { return 0, false }
}

func move(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// hierarchy is a place where a memory cgroup can be made.
type hierarchy struct {
	own     string // the cgroup of this process
	parent  string // of the cgroup to make
	reclaim string // file that makes the kernel reclaim
	amount  string
	file    string
	value   *regexp.Regexp // of bytes, in the file
}

// hierarchies returns those of cgroup version 2 and 1 in which this process is.
func hierarchies() []hierarchy {
	text, _ := os.ReadFile("/proc/self/cgroup")
	var all []hierarchy
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) != 3:
		case parts[1] == "memory":
			own := filepath.Join("/sys/fs/cgroup/memory", parts[2])
			all = append(all, hierarchy{own, own, "memory.force_empty", "0", "memory.kmem.usage_in_bytes", regexp.MustCompile(`^(\d+)`)})
		case parts[0] == "0":
			const root = "/sys/fs/cgroup"
			all = append(all, hierarchy{filepath.Join(root, parts[2]), root, "memory.reclaim", "1G", "memory.stat", regexp.MustCompile(`(?m)^slab_unreclaimable (\d+)`)})
		}
	}
	return all
}
