package nettest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Node is what Host makes: a host of its own, in namespaces.
type Node struct {
	*Netns
	oracle oracle

	mu         sync.Mutex
	containers []*Container
	machines   []*Netns // namespaces without a pin: the machines of a LAN
}

// Option changes how Host makes a host.
type Option func(*setup)

// setup is what the options say.
type setup struct {
	watch []string
}

// Watch adds directories to those whose files the oracle pictures: state and
// data directories that a test puts elsewhere.
func Watch(dirs ...string) Option {
	return func(s *setup) { s.watch = append(s.watch, dirs...) }
}

// Host makes a host: a network and a mount namespace with loopback up, every
// forwarding sysctl off, a tmpfs of its own on /run and /var/lib, and the rest
// of the machine's files as they are. It calls Root. When the test ends, the
// oracle compares the host with its first picture (see Node.Baseline) and the
// host is taken down with all its containers. Hosts do not see each other.
func Host(t testing.TB, opts ...Option) *Node {
	t.Helper()
	Root(t)
	var s setup
	for _, o := range opts {
		o(&s)
	}
	h := &Node{}
	h.Netns = &Netns{name: "host", t: t, host: h, net: -1, mnt: -1}
	t.Cleanup(h.tearDown)
	if err := h.begin(); err != nil {
		t.Fatalf("make a host: %v", err)
	}
	h.oracle = oracle{mode: Attachment, wait: patience, roots: append(stateDirs(), s.watch...)}
	h.Baseline()
	return h
}

// begin starts the host's thread in namespaces that are new with it.
func (h *Node) begin() error {
	th, err := startThread(func() error {
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS | unix.CLONE_NEWNET)
		if err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := mountOwn(); err != nil {
			return err
		}
		if h.mnt, err = openSelf("mnt"); err != nil {
			return err
		}
		h.net, err = openSelf("net")
		return err
	})
	if err != nil {
		return err
	}
	h.thread = th
	return h.settle()
}

// settle gives a new network namespace the state that does not depend on the
// machine: IPv4 settings are inherited from it by default
// (net.core.devconf_inherit_init_net), and forwarding may be on there.
func (n *Netns) settle() error {
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1}}
	if err := n.Netlink().LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up in %s: %w", n.name, err)
	}
	var err error
	n.Do(func() {
		for _, name := range []string{
			"net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter",
		} {
			if err == nil {
				err = writeSysctl(name, "0")
			}
		}
	})
	return err
}

// machine makes a network namespace without a pin: a machine of the LAN.
func (h *Node) machine(name string) *Netns {
	h.t.Helper()
	n, err := h.unshareNet(name, nil)
	if err != nil {
		h.t.Fatalf("make namespace %s: %v", name, err)
	}
	h.mu.Lock()
	h.machines = append(h.machines, n)
	h.mu.Unlock()
	n.skipDAD()
	return n
}

// unshareNet makes a network namespace, running also in it when it is new.
func (h *Node) unshareNet(name string, also func() error) (*Netns, error) {
	n := &Netns{name: name, t: h.t, host: h, net: -1, mnt: h.mnt}
	th, err := startThread(func() error {
		if err := enter(h.mnt, h.net); err != nil {
			return err
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network: %w", err)
		}
		var err error
		if n.net, err = openSelf("net"); err != nil || also == nil {
			return err
		}
		return also()
	})
	if err != nil {
		n.close()
		return nil, err
	}
	n.thread = th
	if err := n.settle(); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// openSelf opens a namespace of the calling thread: "net" or "mnt".
func openSelf(kind string) (int, error) {
	fd, err := unix.Open("/proc/thread-self/ns/"+kind, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open own %s namespace: %w", kind, err)
	}
	return fd, nil
}

// tearDown asks the oracle and takes the host down. It is the last clean-up of
// the test: it was registered before any of the test's own.
func (h *Node) tearDown() {
	h.t.Helper()
	if h.thread != nil && h.oracle.first != nil {
		h.judge()
	}
	for _, c := range h.living() {
		c.Netns.close()
	}
	h.mu.Lock()
	machines := slices.Clone(h.machines)
	h.mu.Unlock()
	for _, n := range machines {
		n.close()
	}
	for _, guest := range h.oracle.guests {
		_ = guest.Close()
	}
	h.Netns.close()
	if h.mnt >= 0 {
		_ = unix.Close(h.mnt)
		h.mnt = -1
	}
}

// living returns the containers that have not been deleted.
func (h *Node) living() []*Container {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.containers)
}
