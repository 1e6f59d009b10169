package nettest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Node is a host in namespaces, as Host creates it.
type Node struct {
	*Netns
	oracle oracle

	mu         sync.Mutex
	containers []*Container
	machines   []*Netns // namespaces without a pin: the machines of a LAN
}

// Option changes how Host creates a host.
type Option func(*setup)

// setup is the settings of the options.
type setup struct {
	watch []string
}

// Watch adds directories to those whose files the leak check compares, for tests
// with other state and data directories.
func Watch(dirs ...string) Option {
	return func(s *setup) { s.watch = append(s.watch, dirs...) }
}

// Host creates a host: a network and a mount namespace with loopback up, every
// forwarding sysctl off, a tmpfs of its own on /run and /var/lib, a copy of its own
// of /etc, and the rest of the machine's files as they are. It calls Root. When the test ends, the
// leak check compares the host with its baseline (see Node.Baseline), and the host is
// removed with all its containers. Hosts are isolated from each other.
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
	h.oracle = oracle{mode: Attachment, wait: settleTime, roots: append(stateDirs(), s.watch...)}
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
// machine. Settings are inherited from it: those of IPv4 by default, those of
// IPv6 where net.core.devconf_inherit_init_net says so, and a machine on which
// IPv6 is off by sysctl then hands that on to every namespace.
func (n *Netns) settle() error {
	lo := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1}}
	if err := n.Netlink().LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up in %s: %w", n.name, err)
	}
	var err error
	n.Do(func() { err = resetSysctls() })
	return err
}

// resetSysctls gives the calling thread's namespace the kernel's own values of
// the settings that tests depend on. It skips settings that the kernel does not have,
// and those that have the value already, because writing many of them takes a lock.
func resetSysctls() error {
	for _, s := range [][2]string{
		{"ipv4/ip_forward", "0"},
		{"ipv4/conf/%s/rp_filter", "0"},
		{"ipv4/conf/%s/arp_ignore", "0"},
		{"ipv4/conf/%s/arp_announce", "0"},
		{"ipv4/conf/%s/proxy_arp", "0"},
		{"ipv4/conf/%s/route_localnet", "0"},
		{"ipv6/conf/%s/disable_ipv6", "0"},
		{"ipv6/conf/%s/forwarding", "0"},
		{"ipv6/conf/%s/accept_ra", "1"},
		{"ipv6/conf/%s/autoconf", "1"},
		{"ipv6/conf/%s/addr_gen_mode", "0"},
	} {
		for _, which := range []string{"all", "default", "lo"} {
			name := "net/" + strings.ReplaceAll(s[0], "%s", which)
			value, err := os.ReadFile("/proc/sys/" + name)
			if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(value)) == s[1] {
				continue
			}
			if err := writeSysctl(name, s[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// machine creates a network namespace without a pin, for a machine of the LAN.
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

// tearDown runs the leak check and removes the host. It is the last clean-up of
// the test: it was registered before any of the test's own.
func (h *Node) tearDown() {
	h.t.Helper()
	if h.thread != nil && h.oracle.first != nil {
		h.checkLeaks()
	}
	for _, c := range h.existing() {
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

// existing returns the containers that have not been deleted.
func (h *Node) existing() []*Container {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.containers)
}
