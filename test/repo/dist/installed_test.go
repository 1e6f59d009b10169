package dist

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// installedBy installs a package, and describes each file that is new: mode, owner, and the hash or the target of a link.
func installedBy(t *testing.T, m manager) map[string]string {
	t.Helper()
	r := newRoot(t)
	before := r.files()
	_, path := r.packagesOf(m)
	r.ok(m, append(m.install, path)...)
	all := map[string]string{}
	for name := range r.files() {
		if _, old := before[name]; !old {
			all[name] = describe(t, filepath.Join(r.dir, name))
		}
	}
	r.ok(m, m.remove...)
	return all
}

func describe(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	check(t, err)
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is {
		t.Fatalf("no stat of %s", path)
	}
	text := fmt.Sprintf("%v %d:%d", info.Mode(), stat.Uid, stat.Gid)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		check(t, err)
		return text + " -> " + target
	case info.Mode().IsRegular():
		content, err := os.ReadFile(path)
		check(t, err)
		return fmt.Sprintf("%s %d %x", text, len(content), sha256.Sum256(content))
	}
	return text
}

// TestSameInstalled: rpm and dpkg unpack both packages, each in a root of its own. TestSamePackages compares what the packages say of their files, this what
// is then there, but for the directory of zsh.
//
// Claim: The .deb and the .rpm have the same files, modes, owners, links and scripts
func TestSameInstalled(t *testing.T) {
	deb, rpm := installedBy(t, dpkg("patchbay")), installedBy(t, rpm("patchbay"))
	const debian, fedora = "/usr/share/zsh/vendor-completions", "/usr/share/zsh/site-functions"
	moved := map[string]string{}
	for path, text := range deb {
		moved[strings.Replace(path, debian, fedora, 1)] = text
	}
	expect.Equal(t, "files that rpm installs, "+runtime.GOARCH, rpm, moved)
	if len(rpm) < 50 {
		t.Errorf("only %d files", len(rpm))
	}
}
