package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// files returns the names in a directory of the host.
func (n *node) files(dir string) (names []string) {
	n.Do(func() {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
	})
	return names
}

// touch makes the agent look at the host: an address comes and goes.
func (n *node) touch() {
	n.lab.t.Helper()
	n.Run(n.lab.t, "ip", "address", "add", "127.9.0.1/32", "dev", "lo")
	n.Run(n.lab.t, "ip", "address", "del", "127.9.0.1/32", "dev", "lo")
}

// TestOtherPrograms: what other programs of the host do to the routes and the directory of configurations.
//
// Claim: Routes to other nodes that another program has deleted are back within a second
// Claim: Routes of other programs to the pods of other nodes are never replaced or deleted
// Claim: A network configuration that the runtime would prefer is reported, and never deleted
func TestOtherPrograms(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n := p.first
	for _, family := range []string{"-4", "-6"} {
		n.Run(t, "ip", family, "route", "flush", "proto", "112")
		began := time.Now()
		n.awaitRoutes(p.routesWith()...)
		if d := time.Since(began); d > 10*time.Second { // the promise is one second, on a machine that does nothing else
			t.Errorf("routes of %s are back after %s", family, d)
		} else {
			t.Logf("routes of %s are back after %s", family, d)
		}
	}
	n.Run(t, "ip", "route", "add", "10.244.101.0/24", "via", "192.0.2.77", "proto", "static")
	before := n.Run(t, "ip", "-d", "route", "show", "10.244.101.0/24")
	o := other(101)
	p.api.create(o)
	n.awaitProblem(nodeproblem.RouteTaken, "another program has a route to 10.244.101.0/24 (protocol 4")
	p.api.remove(o.name)
	n.awaitNoProblem("another program has a route")
	if after := n.Run(t, "ip", "-d", "route", "show", "10.244.101.0/24"); after != before {
		t.Errorf("before: %safter: %s", before, after)
	}
	n.Run(t, "ip", "route", "del", "10.244.101.0/24")

	n.write("/etc/cni/net.d/05-other.conflist", "{}")
	n.touch()
	n.awaitProblem(nodeproblem.ForeignConflist, "/etc/cni/net.d/05-other.conflist sorts before 10-patchbay.conflist")
	n.write(conflist, "torn")
	n.touch()
	eventually(t, "the configuration is written again", func() error {
		if text := n.read(conflist); !strings.Contains(text, "10.244.1.0/24") {
			return fmt.Errorf("it is %q", text)
		}
		return nil
	})
	if !slices.Contains(n.files("/etc/cni/net.d"), "05-other.conflist") {
		t.Error("the other configuration is gone")
	}
	n.Do(func() { _ = os.Remove("/etc/cni/net.d/05-other.conflist") })
}

// TestUplinks: the MTU is that of the interface with the InternalIP, wherever the default route leads.
//
// Claim: The MTU of pods is that of the interface that has the InternalIP of the node
func TestUplinks(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n := p.first
	n.Veth("eth1", p.lan.Switch, "second")
	p.lan.Switch.Plug("second", "lan0")
	n.Run(t, "ip", "link", "set", "eth1", "mtu", "1400")
	n.AddAddress("eth1", "192.0.2.61/24")
	moved := n.object
	moved.addresses = []string{"192.0.2.61", n.object.addresses[1]}
	p.api.setAddresses(moved)
	mtu := func(want string) {
		t.Helper()
		eventually(t, "MTU "+want, func() error {
			if text := n.read(conflist); !strings.Contains(text, `"mtu": `+want) {
				return fmt.Errorf("conflist: %s", text)
			}
			return nil
		})
	}
	mtu("1400")
	moved.addresses = []string{"192.0.2.99"}
	p.api.setAddresses(moved)
	n.awaitProblem(nodeproblem.NoUplink, "no interface has 192.0.2.99")
	n.awaitProblem(nodeproblem.NoUplink, "its MTU is not known, and no network configuration is written")
	mtu("1400")
	n.stopAgent()
	n.args = []string{"--node-ip", n.object.addresses[0]}
	n.startAgent()
	mtu("1500")
	p.api.setAddresses(n.object)
	n.Run(t, "ip", "link", "del", "eth1")
	n.awaitRoutes(p.routesWith()...)
}

// TestFullDisk: a file system without space keeps the old configuration, and the new one is written as soon as there is space.
//
// Claim: Without space on the disk the old network configuration stays, and the new one is written as soon as there is some
func TestFullDisk(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	n := p.first
	const dir, filler = "/etc/cni/net.d", "/etc/cni/net.d/filler"
	var err error
	n.Do(func() { err = unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=755") })
	if err != nil {
		t.Fatal(err)
	}
	n.touch()
	written := func(mtu string) func() error {
		return func() error {
			if text := n.read(conflist); !strings.Contains(text, `"mtu": `+mtu) {
				return fmt.Errorf("conflist: %q", text)
			}
			return nil
		}
	}
	eventually(t, "conflist in the new file system", written("1500"))
	n.Do(func() { _ = os.WriteFile(filler, make([]byte, 1<<20), 0o600) }) // until ENOSPC
	n.Run(t, "ip", "link", "set", "eth0", "mtu", "1480")
	n.touch()
	n.awaitProblem(nodeproblem.Write, "no space left on device")
	if err := written("1500")(); err != nil {
		t.Errorf("the old file has changed: %v", err)
	}
	n.Do(func() { _ = os.Remove(filler) })
	eventually(t, "conflist with space", written("1480"))
	n.awaitNoProblem("no space left on device")
	if names := n.files(dir); len(names) != 1 {
		t.Errorf("files: %q", names)
	}
	n.Run(t, "ip", "link", "set", "eth0", "mtu", "1500")
	n.touch()
	eventually(t, "the first MTU", written("1500"))
	n.Do(func() { err = unix.Unmount(dir, unix.MNT_DETACH) })
	if err != nil {
		t.Fatal(err)
	}
}
