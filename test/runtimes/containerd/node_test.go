package containerd

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// node is a host with a containerd of its own: root, state and socket are at their usual places in the host's own /run
// and /var/lib. All its processes are in one PID namespace, so they all end with its first process.
type node struct {
	*nettest.Node
	t       *testing.T
	release release
	dir     string // of the configuration and the log, the same path inside and outside
	inside  []string
	cgroups string // the parent of all cgroups of its containers
	daemon  *daemon
	cri     cri
}

// newNode returns a host with the plugins in /opt/cni/bin and these conflists in /etc/cni/net.d, and a running
// containerd. The oracle finds what containerd leaves on the host; alone finds processes.
func newNode(t *testing.T, r release, conflists ...string) *node {
	t.Helper()
	n := &node{Node: nettest.Host(t), t: t, release: r, dir: t.TempDir(), cgroups: fmt.Sprintf("/patchbay-test-%d-%d", os.Getpid(), time.Now().UnixNano())}
	n.Allow("process ")
	t.Cleanup(func() { removeCgroups(t, n.cgroups) })
	n.enclose()
	n.install(conflists)
	n.start()
	n.importImage()
	return n
}

// enclose creates the PID and mount namespaces of containerd. /etc and /opt are overlays over the machine's, since
// some paths of containerd cannot be configured. The first process is a shell that reads until the test ends, and
// reaps orphaned processes; it ends last.
func (n *node) enclose() {
	n.t.Helper()
	const script = `set -e
for dir in etc opt; do
	mkdir -p /run/layers/$dir /run/layers/$dir.work
	mount -t overlay overlay -o lowerdir=/$dir,upperdir=/run/layers/$dir,workdir=/run/layers/$dir.work /$dir
done
echo ready
cat
exit`
	first := n.Command("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", script)
	first.Stderr = os.Stderr
	in, err := first.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := first.StdoutPipe()
	if err == nil {
		err = first.Start()
	}
	if err != nil {
		n.t.Fatalf("make namespaces for containerd: %v", err)
	}
	n.t.Cleanup(func() {
		_ = in.Close()
		if err := first.Wait(); err != nil {
			n.t.Errorf("end all of containerd's processes: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		n.t.Fatalf("make namespaces for containerd: %q %v", line, err)
	}
	proc := fmt.Sprintf("/proc/%d/ns/", first.Process.Pid)
	n.inside = []string{"nsenter", "--mount=" + proc + "mnt", "--pid=" + proc + "pid_for_children"}
}

// command returns a program of containerd's package, with containerd's PATH.
func (n *node) command(args ...string) *nettest.Cmd {
	all := append(append([]string{}, n.inside...), args...)
	c := n.Command(all[0], all[1:]...)
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

// install puts the plugins and the conflists into the directories that containerd reads.
func (n *node) install(conflists []string) {
	n.t.Helper()
	bin, confs := filepath.Join(n.dir, "bin"), filepath.Join(n.dir, "net.d")
	for _, dir := range []string{bin, confs} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
	plugins := []string{nettest.Patchbay(n.t)}
	for _, name := range []string{"loopback", "portmap", "bridge", "host-local"} {
		plugins = append(plugins, nettest.Program(n.t, name))
	}
	for _, path := range plugins {
		if err := os.Symlink(path, filepath.Join(bin, filepath.Base(path))); err != nil {
			n.t.Fatal(err)
		}
	}
	for i, text := range conflists {
		n.write(fmt.Sprintf("net.d/%d.conflist", 10+i), text)
	}
	// Hide what the machine has there, directories or links: a link created within a directory would leave the
	// machine's networks visible to containerd, and removing the target of a link could delete the machine's own files.
	n.run("sh", "-c", `rm -rf /opt/cni /etc/cni && mkdir /opt/cni /etc/cni && ln -s "$0/bin" /opt/cni/bin && ln -s "$0/net.d" /etc/cni/net.d`, n.dir)
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

// removeCgroups removes the cgroups that runc created below a parent, in each hierarchy.
func removeCgroups(t testing.TB, parent string) {
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
