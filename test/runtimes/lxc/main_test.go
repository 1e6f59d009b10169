package lxc

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestMain removes the empty control groups that LXC leaves behind: those into which it moves its monitors at their
// end, and those of a monitor that was killed. They are the machine's, which a host of nettest shares.
func TestMain(m *testing.M) {
	before := groups()
	code := m.Run()
	for _, dir := range groups() {
		if !slices.Contains(before, dir) {
			_ = os.Remove(filepath.Join(dir, ".lxc"))
			_ = os.Remove(dir)
		}
	}
	os.Exit(code)
}

func groups() []string {
	one, _ := filepath.Glob("/sys/fs/cgroup/lxc.*")
	each, _ := filepath.Glob("/sys/fs/cgroup/*/lxc.*")
	return append(one, each...)
}
