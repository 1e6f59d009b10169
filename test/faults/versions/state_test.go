package versions

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// files returns the files of a directory with their contents, and the marks with the stable part of their targets.
func (s *scene) files(dir string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	s.Do(func() {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if d.Type() == fs.ModeSymlink { // a mark has boot, host lifetime and host; then inode and birth time of the file, which differ
				at, err := os.Readlink(path)
				all[strings.TrimPrefix(path, dir)] = strings.Join(strings.Split(at, ".")[:3], ".")
				return err
			}
			text, err := os.ReadFile(path)
			all[strings.TrimPrefix(path, dir)] = string(text)
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	})
	return all
}

// TestSharedDataDir: both versions write address files, marks, cursor and sticky addresses byte for byte the same.
//
// Claim: Address files, marks, cursor and sticky addresses are the same in every version
func TestSharedDataDir(t *testing.T) {
	t.Parallel()
	const dataDir = "/var/lib/cni/networks"
	s := newScene(t, cni.IPAM(cni.Conf{"dataDir": dataDir, "sticky": true, "ranges": cni.Ranges("10.88.0.0/16")}))
	first, second := s.Container("first"), s.Container("second")
	s.add(s.old, first)
	byOld, memory := s.files(dataDir), s.files("/var/lib/patchbay/sticky")
	was := s.addresses[first.ID()]
	s.del(s.next, first)
	if _, there := s.files(dataDir)["/net/"+was.String()]; there {
		t.Errorf("%s is still reserved after the DEL of the other version", was)
	}
	s.add(s.next, first)
	if got := s.addresses[first.ID()]; got != was {
		t.Errorf("sticky address %s, the other version gave %s", got, was)
	}
	if diff := cmp.Diff(byOld, s.files(dataDir)); diff != "" {
		t.Errorf("address files (-old +next):\n%s", diff)
	}
	if diff := cmp.Diff(memory, s.files("/var/lib/patchbay/sticky")); diff != "" {
		t.Errorf("sticky addresses (-old +next):\n%s", diff)
	}
	if len(byOld) < 4 || len(memory) == 0 {
		t.Errorf("want address, mark, cursor and lock, and sticky addresses; got %v, %v", byOld, memory)
	}
	s.add(s.old, second)
	if s.addresses[second.ID()] != was.Next() {
		t.Errorf("the cursor is not shared: %s after %s", s.addresses[second.ID()], was)
	}
	s.del(s.old, first)
	s.del(s.next, second)
	s.NoLeaks(t)
}
