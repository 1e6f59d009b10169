package lists

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// bin is a directory of CNI plugins.
type bin string

// newBin returns a directory with the reference plugins. Plugins of other projects that lists name are the reference plugin tuning, which
// without keys of its own passes the result on, as they do.
func newBin(t *testing.T) bin {
	t.Helper()
	nettest.Root(t)
	dir := t.TempDir()
	for _, name := range []string{"bridge", "host-local", "portmap", "firewall", "bandwidth", "tuning", "sbr", "loopback", "static"} {
		copyProgram(t, nettest.Program(t, name), filepath.Join(dir, name))
	}
	for _, name := range []string{"dnsname", "tc-redirect-tap"} {
		copyProgram(t, nettest.Program(t, "tuning"), filepath.Join(dir, name))
	}
	return bin(dir)
}

// copyProgram copies a program.
func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// run runs patchbay install or uninstall for the directory.
func (b bin) run(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(nettest.Patchbay(t), append(args, "--bin-dir", string(b))...).CombinedOutput()
	if err != nil {
		t.Fatalf("patchbay %q: %v\n%s", args, err, out)
	}
}

// state describes the files in the directory: mode, time of the last write, and content.
func (b bin) state(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(string(b))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano())
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(filepath.Join(string(b), e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all[e.Name()] += fmt.Sprintf(" %x", sha256.Sum256(text))
		}
	}
	return all
}
