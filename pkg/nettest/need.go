package nettest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Feature is something a test needs of the machine. Tool and LinkKind make
// more of them.
type Feature string

// Features of the kernel.
const (
	IPv6          Feature = "IPv6"
	NetnsCookie   Feature = "namespace cookies (Linux 5.14)"
	NFTables      Feature = "nf_tables"
	BrNetfilter   Feature = "br_netfilter"
	VLANFiltering Feature = "bridge VLAN filtering"
	PortIsolation Feature = "bridge port isolation"

	UserNamespaces Feature = "user namespaces for others than root"
)

const (
	toolPrefix = "program "
	kindPrefix = "link kind "
)

// Tool returns the feature of a program in PATH.
func Tool(name string) Feature { return toolPrefix + Feature(name) }

// LinkKind returns the feature of a kind of link that the kernel can create: "macvlan", "dummy".
func LinkKind(kind string) Feature { return kindPrefix + Feature(kind) }

// absentHere lists what the kernel of the project's test machines lacks; tests
// of these run in a virtual machine. Everything else must be there in CI.
func absentHere() []Feature {
	absent := []Feature{VLANFiltering}
	for _, kind := range []string{"vlan", "dummy", "ipvlan", "vrf", "bond", "wireguard", "netkit"} {
		absent = append(absent, LinkKind(kind))
	}
	return absent
}

// Root makes sure that the test may make namespaces. Without the privilege the
// test is skipped, and fails where the environment has CI set.
func Root(t testing.TB) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	need := uint32(1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN)
	if err != nil || data[0].Effective&need != need {
		missing(t, "root", errors.New("CAP_SYS_ADMIN and CAP_NET_ADMIN are needed to make namespaces"))
	}
}

// Need makes sure that the machine has features. A test that lacks one is
// skipped by the feature's name; where the environment has CI set it fails,
// unless the feature is known to be absent from the test machines' kernel.
func Need(t testing.TB, features ...Feature) {
	t.Helper()
	for _, f := range features {
		err := probe(f)
		if err == nil {
			continue
		}
		if slices.Contains(absentHere(), f) {
			t.Skipf("needs %s, which the test machines' kernel lacks: %v", f, err)
		}
		missing(t, string(f), err)
	}
}

// Has reports whether the machine has a feature, for a test that requires something else of a machine without it.
func Has(f Feature) bool { return probe(f) == nil }

// missing skips the test, or fails it in CI.
func missing(t testing.TB, what string, err error) {
	t.Helper()
	switch strings.ToLower(os.Getenv("CI")) {
	case "", "0", "false":
		t.Skipf("needs %s: %v", what, err)
	}
	t.Fatalf("needs %s, which CI must have: %v", what, err)
}

// probe tries a feature out, where it can in a namespace that is then dropped.
func probe(f Feature) error {
	if tool, ok := strings.CutPrefix(string(f), toolPrefix); ok {
		_, err := exec.LookPath(tool)
		return err
	}
	if f == UserNamespaces {
		return probeUserNamespaces()
	}
	if f == IPv6 {
		_, err := os.Stat("/proc/sys/net/ipv6")
		return err
	}
	if f == BrNetfilter {
		_, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables")
		return err
	}
	var err error
	scratch, startErr := startThread(func() error { return unix.Unshare(unix.CLONE_NEWNET) })
	if startErr != nil {
		return fmt.Errorf("make a namespace: %w", startErr)
	}
	defer scratch.stop()
	scratch.do(func() { err = probeHere(f) })
	return err
}

// probeHere tries a feature in the calling thread's namespace.
func probeHere(f Feature) error {
	if kind, ok := strings.CutPrefix(string(f), kindPrefix); ok {
		err := netlink.LinkAdd(&netlink.GenericLink{LinkAttrs: linkAttrs("probe"), LinkType: kind})
		if errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
		return nil // another error is about the link's attributes, so its kind is known
	}
	switch f {
	case NetnsCookie:
		return probeCookie()
	case NFTables:
		_, err := rulesetGeneration()
		return err
	case VLANFiltering:
		return probeVLANs()
	case PortIsolation:
		return probeIsolation()
	}
	return fmt.Errorf("no probe for %q", f)
}

// probeUserNamespaces tries as user nobody: some distributions permit them to root only.
func probeUserNamespaces() error {
	return exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Ur", "true").Run()
}

func probeCookie() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return err
}

// probeVLANs reads the bridge again: a kernel without VLAN filtering ignores that it is requested.
func probeVLANs() error {
	on := true
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: linkAttrs("probe"), VlanFiltering: &on}); err != nil {
		return err
	}
	l, err := netlink.LinkByName("probe")
	if err != nil {
		return err
	}
	if b, is := l.(*netlink.Bridge); !is || b.VlanFiltering == nil || !*b.VlanFiltering {
		return unix.EOPNOTSUPP
	}
	return nil
}

func probeIsolation() error {
	port := &netlink.Veth{LinkAttrs: linkAttrs("probe1"), PeerName: "probe2"}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: linkAttrs("probe")}); err != nil {
		return err
	}
	if err := netlink.LinkAdd(port); err != nil {
		return err
	}
	br, err := netlink.LinkByName("probe")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMaster(port, br); err != nil {
		return err
	}
	return netlink.LinkSetIsolated(port, true)
}
