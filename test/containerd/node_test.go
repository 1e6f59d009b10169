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

// node is a host with a containerd of its own: root, state and socket are at their usual places in the host's own /run and /var/lib.
// Every process of it lives in one process namespace, so all end with its first one, whatever became of them.
type node struct {
	*nettest.Node
	t       *testing.T
	release release
	dir     string // of the configuration and the log, the same seen from inside and outside
	inside  []string
	cgroups string // the parent of all cgroups of its containers
	daemon  *daemon
	cri     cri
}

// newNode makes a host with the plugins in /opt/cni/bin and these conflists in /etc/cni/net.d, and starts containerd there.
// What containerd leaves on the host is told by the oracle; processes are, while it runs, counted by alone.
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

// enclose makes the process and mount namespaces that containerd runs in. /etc and /opt are the machine's with a layer of the
// host's own above, since some paths of containerd cannot be configured. The first process is a shell that reads until the test ends,
// and meanwhile waits for whatever lost its parent; it has ended when all others have.
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

// command is a program among containerd's own, with its PATH.
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

// unpacked is a path in what scripts/lib.sh unpacks; the test skips, or fails in CI, where it is not.
func unpacked(t testing.TB, path string) string {
	t.Helper()
	top := strings.TrimSuffix(nettest.Program(t, "../pkg/containerd/usr/bin/containerd"), "usr/bin/containerd")
	return filepath.Join(top, path)
}

// install puts the plugins and the conflists where containerd looks.
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
	n.run("sh", "-c", `mkdir -p /opt/cni /etc/cni && ln -sfn "$0/bin" /opt/cni/bin && ln -sfn "$0/net.d" /etc/cni/net.d`, n.dir)
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

// removeCgroups removes the cgroups that runc made below a parent: each hierarchy has them.
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
