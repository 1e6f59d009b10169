package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/enclosure"
)

// node is a host with a containerd of its own: root, state and socket are at their usual places in the host's own /run
// and /var/lib. All its processes are in one PID namespace, so they all end with its first process.
type node struct {
	*nettest.Node
	t       *testing.T
	release release
	dir     string // of the configuration and the log, the same path inside and outside
	inside  *enclosure.Enclosure
	cgroups string // the parent of all cgroups of its containers
	daemon  *daemon
	cri     cri
}

// newNode returns a host with the program beside the reference plugins in /opt/cni/bin and these conflists in /etc/cni/net.d, and a
// running containerd. The oracle finds what containerd leaves on the host; alone finds processes.
func newNode(t *testing.T, r release, conflists ...string) *node {
	t.Helper()
	return nodeWith(t, r, plugins(t), conflists...)
}

// nodeWith is newNode with another directory of plugins.
func nodeWith(t *testing.T, r release, bin string, conflists ...string) *node {
	t.Helper()
	n := &node{Node: nettest.Host(t), t: t, release: r, dir: t.TempDir(), cgroups: fmt.Sprintf("/patchbay-test-%d-%d", os.Getpid(), time.Now().UnixNano())}
	t.Cleanup(func() { enclosure.RemoveCgroups(t, n.cgroups) })
	n.inside = enclosure.New(t, n.Node, "")
	n.install(bin, conflists)
	n.start()
	n.importImage()
	return n
}

// command returns a program of containerd's package, with containerd's PATH.
func (n *node) command(args ...string) *nettest.Cmd {
	c := n.inside.Command(args...)
	c.Env = append(os.Environ(), "PATH="+strings.Join([]string{n.release.programs, unpacked(n.t, "usr/sbin"), os.Getenv("PATH")}, ":"))
	if libs, _ := filepath.Glob(unpacked(n.t, "usr/lib/*-linux-gnu*")); len(libs) > 0 {
		c.Env = append(c.Env, "LD_LIBRARY_PATH="+libs[0]) // runc's libseccomp, which not every machine has
	}
	return c
}

// run runs a program to its end and returns its standard output.
func (n *node) run(args ...string) string {
	n.t.Helper()
	out, err := n.command(args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// unpacked returns a path below what scripts/lib.sh unpacks; if it does not exist the test skips, or fails in CI.
func unpacked(t testing.TB, path string) string {
	t.Helper()
	top := strings.TrimSuffix(nettest.Program(t, "../pkg/containerd/usr/bin/containerd"), "usr/bin/containerd")
	return filepath.Join(top, path)
}

// plugins returns a directory with the program and the reference plugins.
func plugins(t testing.TB) string {
	t.Helper()
	bin := t.TempDir()
	programs := []string{nettest.Patchbay(t)}
	for _, name := range []string{"loopback", "portmap", "bridge", "host-local"} {
		programs = append(programs, nettest.Program(t, name))
	}
	for _, path := range programs {
		if err := os.Symlink(path, filepath.Join(bin, filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// install makes the plugins and the conflists what containerd reads.
func (n *node) install(bin string, conflists []string) {
	n.t.Helper()
	if err := os.Mkdir(filepath.Join(n.dir, "net.d"), 0o755); err != nil {
		n.t.Fatal(err)
	}
	for i, text := range conflists {
		n.write(fmt.Sprintf("net.d/%d.conflist", 10+i), text)
	}
	// Hide what the machine has there, directories or links: a link created within a directory would leave the
	// machine's networks visible to containerd, and removing the target of a link could delete the machine's own files.
	n.run("sh", "-c", `rm -rf /opt/cni /etc/cni && mkdir /opt/cni /etc/cni && ln -s "$0" /opt/cni/bin && ln -s "$1/net.d" /etc/cni/net.d`, bin, n.dir)
}

// write writes a file of the node's own.
func (n *node) write(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}
