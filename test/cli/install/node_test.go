package install

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// names are the reference plugins that a drop-in replaces.
func names() []string {
	return []string{"loopback", "bridge", "host-local", "static", "portmap", "firewall", "tuning", "bandwidth", "sbr"}
}

// node is the directories of a machine: of CNI plugins, and of network configurations. They are on a tmpfs, which
// the machine's own file system would be too slow for.
type node struct {
	*nettest.Node
	root      string // path of top for the test
	bin, conf string // below root
	link      string // to bin, if commands are given that
	program   string
	former    string // hash of the program that was installed before an upgrade
}

// top is the directory of a node, as its programs see it: each host has a /run of its own.
const top = "/run/node"

// newNode returns a node without either directory.
func newNode(t testing.TB) *node {
	t.Helper()
	h := nettest.Host(t)
	var dir *os.File
	var err error
	h.Do(func() {
		if err = os.Mkdir(top, 0o755); err == nil {
			dir, err = os.Open(top)
		}
	})
	check(t, err)
	t.Cleanup(func() { dir.Close() })
	root := fmt.Sprintf("/proc/self/fd/%d", dir.Fd())
	return &node{Node: h, root: root, bin: filepath.Join(root, "opt/cni/bin"), conf: filepath.Join(root, "etc/cni/net.d"), program: nettest.Patchbay(t)}
}

// inside returns a path below root as programs of the node see it.
func (n *node) inside(path string) string { return strings.Replace(path, n.root, top, 1) }

// reference fills the directory of plugins with the reference plugins, each with other attributes, and a plugin that
// no drop-in replaces.
func (n *node) reference(t testing.TB) {
	t.Helper()
	check(t, os.MkdirAll(n.bin, 0o755))
	for i, name := range append(names(), "macvlan", "dhcp") {
		path := filepath.Join(n.bin, name)
		n.copyFile(t, nettest.Program(t, name), path)
		check(t, os.Chmod(path, []fs.FileMode{0o755, 0o700, 0o555}[i%3]))
		check(t, os.Chown(path, 0, i*7))
		when := time.Date(2020, time.January, 1+i, 2, 3, 4, 5678, time.UTC)
		check(t, os.Chtimes(path, when, when))
		check(t, unix.Setxattr(path, "trusted.test", []byte(name), 0))
	}
}

func (n *node) copyFile(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	check(t, err)
	check(t, nettest.WriteProgram(to, text))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// at returns a path in the directory of plugins.
func (n *node) at(name string) string { return filepath.Join(n.bin, name) }

// args returns the arguments of a command for this node.
func (n *node) args(command string, more ...string) []string {
	args := []string{command, "--bin-dir", n.inside(cmp.Or(n.link, n.bin))}
	if command == "install" {
		args = append(args, "--conf-dir", n.inside(n.conf))
	}
	return append(args, more...)
}

// answer is the output of a command and its exit status.
type answer struct {
	exit           int
	stdout, stderr string
}

// run runs a command of this node.
func (n *node) run(t testing.TB, command string, more ...string) answer {
	t.Helper()
	cmd := n.Command(n.program, n.args(command, more...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH")}, &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ok requires success, and returns the lines that it printed, without the directory.
func (n *node) ok(t testing.TB, command string, more ...string) []string {
	t.Helper()
	a := n.run(t, command, more...)
	if a.exit != 0 || a.stderr != "" {
		t.Fatalf("%s %q: exit %d\n%s%s", command, more, a.exit, a.stdout, a.stderr)
	}
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(a.stdout, top, ""), "\n"), "\n")
}

// refused requires an error with these parts, that nothing was printed, and that nothing has changed.
func (n *node) refused(t testing.TB, parts []string, command string, more ...string) {
	t.Helper()
	before := state(t, n.root)
	a := n.run(t, command, more...)
	if a.exit != 1 || a.stdout != "" || strings.Count(a.stderr, "\n") != 1 {
		t.Errorf("%s %q: exit %d, want 1\n%s%s", command, more, a.exit, a.stdout, a.stderr)
	}
	expect.Contains(t, a.stderr, parts...)
	expect.Equal(t, "files after "+command+" was refused", state(t, n.root), before)
}

// state describes every file below a directory: content, mode, owner, time of the last write and attributes. The time
// of a directory is left out: installing changes it.
func state(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	check(t, filepath.WalkDir(root+"/", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		all["/"+strings.TrimLeft(strings.TrimPrefix(path, root), "/")] = describe(t, path)
		return nil
	}))
	return all
}

func describe(t testing.TB, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	check(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprintf("%s %d:%d", info.Mode(), stat.Uid, stat.Gid)
	switch {
	case info.Mode().IsRegular():
		attribute := make([]byte, 64)
		size, _ := unix.Lgetxattr(path, "trusted.test", attribute) // most files have none
		return fmt.Sprintf("%s %s %d.%09d %s", text, hashOf(t, path), stat.Mtim.Sec, stat.Mtim.Nsec, attribute[:max(size, 0)])
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		check(t, err)
		return text + " -> " + target
	}
	return text
}

func hashOf(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// installed requires that each name is this program, mode 0755, root's.
func (n *node) installed(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		info, err := os.Lstat(n.at(name))
		if err != nil {
			t.Error(err)
			continue
		}
		stat := info.Sys().(*syscall.Stat_t)
		if info.Mode() != 0o755 || stat.Uid != 0 || stat.Gid != 0 || stat.Nlink != 1 || hashOf(t, n.at(name)) != hashOf(t, n.program) {
			t.Errorf("%s is not the program: %s, %d links", name, describe(t, n.at(name)), stat.Nlink)
		}
	}
}

// otherBuild makes the node's program another build of the same version: the kernel ignores what follows an ELF file.
func (n *node) otherBuild(t testing.TB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "patchbay")
	text, err := os.ReadFile(n.program)
	check(t, err)
	check(t, nettest.WriteProgram(path, append(text, "another build"...)))
	n.program = path
}

// sick requires that doctor finds these problems of the directory of plugins, none if there is no text.
func (n *node) sick(t testing.TB, parts ...string) {
	t.Helper()
	a := n.run(t, "doctor", "--conf-dir", n.inside(n.conf))
	want := 0
	if len(parts) > 0 {
		want = 1
	}
	expect.Equal(t, "exit of doctor: "+a.stdout+a.stderr, a.exit, want)
	for _, part := range parts {
		expect.Contains(t, a.stdout, part)
	}
}
