// Package release finds the release that scripts/test.sh builds for tests, as `make dist` does.
package release

import (
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// Version is the version of the release.
const Version = "0.2.0"

// Image is the name that the image gets when a runtime imports it.
const Image = "ghcr.io/patchbay-cni/patchbay:" + Version

// AgentImage is the name of the image of patchbay-agent.
const AgentImage = "ghcr.io/patchbay-cni/patchbay-agent:" + Version

// Dir returns the directory that was built. Without it the test skips, or fails in CI.
func Dir(t testing.TB) string {
	t.Helper()
	return filepath.Dir(nettest.Program(t, "../release/patchbay-"+Version+"-linux-amd64"))
}

// Path returns the path of one file of it.
func Path(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(Dir(t), name)
}

// Older packs a .deb again, as an older version with another build of the program, which is at a path inside, and returns the path of the new one.
func Older(t testing.TB, deb, version, inside string) string {
	t.Helper()
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "older.deb")
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("pack %s as %s: %v", deb, version, err)
		}
	}
	must(exec.Command("dpkg-deb", "--raw-extract", deb, dir).Run())
	control, err := os.ReadFile(filepath.Join(dir, "DEBIAN/control"))
	must(err)
	control = regexp.MustCompile(`(?m)^Version: .*$`).ReplaceAll(control, []byte("Version: "+version))
	must(os.WriteFile(filepath.Join(dir, "DEBIAN/control"), control, 0o644))
	program, err := os.OpenFile(filepath.Join(dir, inside), os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	_, err = program.WriteString("older")
	must(err)
	must(program.Close())
	must(sumAgain(dir, inside))
	must(exec.Command("dpkg-deb", "-Znone", "--build", dir, path).Run())
	return path
}

// sumAgain writes the checksum of a file of an unpacked .deb anew, with which `dpkg --verify` compares it.
func sumAgain(dir, inside string) error {
	text, err := os.ReadFile(filepath.Join(dir, inside))
	if err != nil {
		return err
	}
	sums := filepath.Join(dir, "DEBIAN/md5sums")
	all, err := os.ReadFile(sums)
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(inside, "/")
	line := regexp.MustCompile(`(?m)^[0-9a-f]{32}  ` + regexp.QuoteMeta(name) + `$`)
	if !line.Match(all) {
		return fmt.Errorf("no checksum of %s", name)
	}
	return os.WriteFile(sums, line.ReplaceAll(all, fmt.Appendf(nil, "%x  %s", md5.Sum(text), name)), 0o644) // the format is dpkg's
}
