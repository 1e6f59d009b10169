package nodes

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/enclosure"
)

// node is a machine of the cluster: a network, a mount, a PID and a UTS namespace, in which all its programs run. Its disk is the directory state,
// which a power failure keeps.
type node struct {
	c         *cluster
	number    int
	name      string
	addresses [2]string // IPv4 and IPv6
	state     string    // of /var/lib: on the tmpfs on /var/lib of the host, which overlayfs accepts as an upper layer
	dir       string    // of configuration and logs: the same path inside and outside
	cgroups   string    // parent of all cgroups of its containers
	first     *nettest.Cmd
	prefix    []string // of a command that runs inside
	identity  []string // links of its namespaces in /proc, of each boot
}

// boot is the script of the first process of a node: directories of its own, the disk, a new boot ID. Kubelet writes sysctls of the whole machine
// unless they have its values: it sees files that have them, so that those of the machine stay. Of the cgroups the node sees its own alone.
const boot = `set -e
state=$0 dir=$1 name=$2 cgroups=$3
hostname "$name"
mount --make-rprivate /
for d in /run /var/log; do mount -t tmpfs tmpfs $d; done
mkdir -p $state/opt $state/opt.work $state/net.d
mount -t overlay overlay -o "lowerdir=/opt,upperdir=$state/opt,workdir=$state/opt.work" /opt
mkdir -p /run/netns /run/lock /run/cgroup /etc/cni/net.d /opt/cni/bin
mount --bind $state/net.d /etc/cni/net.d
for d in kubelet containerd cni patchbay; do mkdir -p /var/lib/$d $state/$d; mount --bind $state/$d /var/lib/$d; done
for s in vm/overcommit_memory=1 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
	f=/run/sysctl-$(echo "${s%=*}" | tr / -)
	echo "${s#*=}" >$f
	mount --bind $f /proc/sys/${s%=*}
done
mount --bind "$dir/machine-id" /etc/machine-id
mount --bind "$dir/boot-id" /proc/sys/kernel/random/boot_id
for h in /sys/fs/cgroup/*/; do
	grep -q " ${h%/} cgroup " /proc/mounts || continue
	mkdir -p $h$cgroups
	for f in cpuset.cpus cpuset.mems; do [ ! -e $h$f ] || cat $h$f >$h$cgroups/$f; done
	mount --bind $h$cgroups /run/cgroup
	umount ${h%/} # runc takes the first mount
	mount --move /run/cgroup ${h%/}
done
mount --make-rshared /run
mount --make-rshared /var/lib/kubelet
ip link set lo up
echo ready
cat
exit`

// newNode writes the files of a node; powerOn and start start it.
func newNode(t *testing.T, c *cluster, number int) *node {
	t.Helper()
	n := &node{
		c: c, number: number, name: fmt.Sprintf("node-%d", number), dir: t.TempDir(), state: fmt.Sprintf("/var/lib/nodes/%d", number),
		addresses: [2]string{fmt.Sprintf("192.0.2.%d", 20+number), fmt.Sprintf("2001:db8:0:1::%d", 20+number)},
		cgroups:   fmt.Sprintf("patchbay-cluster-%d-%d", os.Getpid(), number),
	}
	n.write(t, "machine-id", fmt.Sprintf("%032x\n", 0xa6f0+number))
	n.write(t, "kubeconfig", c.kubeconfig(nodeToken(number)))
	n.write(t, "proxy.kubeconfig", c.kubeconfig(proxyToken))
	n.write(t, "kubelet.yaml", kubeletConfig)
	n.write(t, "containerd.toml", containerdConfig)
	t.Cleanup(func() { enclosure.RemoveCgroups(t, "/"+n.cgroups) })
	return n
}

func (n *node) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// powerOn makes the namespaces, and connects the node to the LAN.
func (n *node) powerOn(t *testing.T) {
	t.Helper()
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	n.write(t, "boot-id", fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	n.first = n.c.base.Command("unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", boot,
		n.state, n.dir, n.name, n.cgroups)
	n.first.Stderr = os.Stderr
	if _, err := n.first.StdinPipe(); err != nil { // the script reads it until the end
		t.Fatal(err)
	}
	out, err := n.first.StdoutPipe()
	if err == nil {
		err = n.first.Start()
	}
	if err != nil {
		t.Fatalf("make %s: %v", n.name, err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("make %s: %q %v", n.name, line, err)
	}
	n.remember(t)
	n.connect(t)
}

// remember keeps how to enter the namespaces, and which they are.
func (n *node) remember(t *testing.T) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/ns/", n.first.Process.Pid)
	n.prefix = []string{"nsenter", "--mount=" + proc + "mnt", "--net=" + proc + "net", "--uts=" + proc + "uts", "--pid=" + proc + "pid_for_children"}
	for _, kind := range []string{"mnt", "net", "uts", "pid_for_children"} {
		link, err := os.Readlink(proc + kind)
		if err != nil {
			t.Fatal(err)
		}
		n.identity = append(n.identity, link)
	}
}

// connect makes eth0, a port of the LAN's switch. It has the same MAC after each boot, as a machine has.
func (n *node) connect(t *testing.T) {
	t.Helper()
	lan, port, pid := n.c.lan.Switch, fmt.Sprintf("node%d", n.number), fmt.Sprint(n.first.Process.Pid)
	_ = lan.Command("ip", "link", "del", port).Run() // of the boot before, unless the kernel has deleted it
	lan.Run(t, "ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "address", fmt.Sprintf("52:54:00:00:00:%02x", n.number), "netns", pid)
	lan.Plug(port, "lan0")
	lan.Run(t, "ip", "link", "set", port, "up")
	n.run(t, "sh", "-c", `set -e
ip address add $0/24 dev eth0
ip address add $1/64 dev eth0 nodad
ip link set eth0 up
ip route add default via $2
ip -6 route add default via $3`, n.addresses[0], n.addresses[1], nettest.LANRouter4, nettest.LANRouter6)
}

// powerOff kills every process of the node at once, as a power failure does.
func (n *node) powerOff() {
	if n.first == nil {
		return
	}
	_ = n.first.Process.Kill()
	_ = n.first.Wait()
	n.first = nil
}
