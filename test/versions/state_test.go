package versions

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// files are those of a directory of the host with their contents, and marks with whence they are.
func (s *scene) files(dir string) map[string]string {
	s.t.Helper()
	all := map[string]string{}
	s.Do(func() {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if d.Type() == fs.ModeSymlink { // a mark: boot, life, host; then inode and birth of one file
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

// TestSharedDataDir: address files, marks, cursor and memory are the same whoever wrote them, byte by byte.
func TestSharedDataDir(t *testing.T) {
	t.Parallel()
	const dataDir = "/var/lib/cni/networks"
	s := newScene(t, "")
	s.config = `{"cniVersion": "1.1.0", "name": "net", "type": "patchbay", "bridge": "cni0", "isDefaultGateway": true,
		"ipam": {"type": "patchbay", "dataDir": "` + dataDir + `", "sticky": true, "ranges": [[{"subnet": "10.88.0.0/16"}]]}}`
	first, second := s.Container("first"), s.Container("second")
	s.add(s.old, first)
	byOld, memory := s.files(dataDir), s.files("/var/lib/patchbay/sticky")
	was := s.addresses[first.ID()]
	s.del(s.next, first)
	if _, there := s.files(dataDir)["/net/"+was.String()]; there {
		t.Errorf("%s is still reserved after the other's DEL", was)
	}
	s.add(s.next, first)
	if got := s.addresses[first.ID()]; got != was {
		t.Errorf("sticky address %s, the other version gave %s", got, was)
	}
	if diff := cmp.Diff(byOld, s.files(dataDir)); diff != "" {
		t.Errorf("files of the addresses (-by one +by the other):\n%s", diff)
	}
	if diff := cmp.Diff(memory, s.files("/var/lib/patchbay/sticky")); diff != "" {
		t.Errorf("memory (-by one +by the other):\n%s", diff)
	}
	if len(byOld) < 4 || len(memory) == 0 {
		t.Errorf("want address, mark, cursor and lock, and a memory; got %v, %v", byOld, memory)
	}
	s.add(s.old, second)
	if s.addresses[second.ID()] != was.Next() {
		t.Errorf("the cursor is not shared: %s after %s", s.addresses[second.ID()], was)
	}
	s.del(s.old, first)
	s.del(s.next, second)
	s.NoLeaks(t)
}
