package enclosure

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// RemoveCgroups removes the cgroups that a runtime created below a parent, in each hierarchy.
func RemoveCgroups(t testing.TB, parent string) {
	t.Helper()
	hierarchies, err := filepath.Glob("/sys/fs/cgroup/*" + parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, top := range append(hierarchies, "/sys/fs/cgroup"+parent) {
		var dirs []string
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append([]string{path}, dirs...)
			}
			return nil
		})
		for _, dir := range dirs {
			if err := os.Remove(dir); err != nil {
				t.Errorf("remove cgroup: %v", err)
			}
		}
	}
}
