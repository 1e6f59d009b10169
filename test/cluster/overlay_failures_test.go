package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
)

// TestOverlayRestored: what other programs delete or change of the overlay is back at once.
//
// Claim: What another program deletes or changes of the VXLAN device, its addresses, entries and routes is back within two seconds
func TestOverlayRestored(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "vxlan")
	r.startAgents()
	r.first.awaitBy(r.far, device)
	r.first.awaitBy(r.second, device)
	mesh(t, r.pods)
	n := r.first
	before := n.overlay()
	if count := strings.Count(before, "PERMANENT"); count != 4 || !strings.Contains(before, "inet 10.244.1.0/32") || !strings.Contains(before, "inet6 fd00:10:244:1::/128") {
		t.Fatalf("the overlay:\n%s", before)
	}
	mac, _, _ := strings.Cut(n.Run(t, "bridge", "fdb", "show", "dev", device), " ")
	for _, command := range []string{
		"ip link del DEVICE", "ip link set DEVICE down", "ip link set DEVICE address 02:00:00:00:00:01", "ip link set DEVICE mtu 1400",
		"ip link set DEVICE type vxlan local 192.0.2.99", "ip link set DEVICE type vxlan learning", "ip link set DEVICE arp on", "ip link set DEVICE alias other",
		"ip neigh flush dev DEVICE nud permanent", "bridge fdb del " + mac + " dev DEVICE self", "bridge fdb replace " + mac + " dev DEVICE dst 192.0.2.99 self permanent",
		"ip route flush dev DEVICE proto 112", "ip -6 route flush dev DEVICE proto 112", "ip address flush dev DEVICE",
	} {
		fields := strings.Fields(strings.ReplaceAll(command, "DEVICE", device))
		n.Run(t, fields[0], fields[1:]...)
		began := time.Now()
		eventually(t, "the overlay after "+command, func() error {
			if got := n.overlay(); got != before {
				return fmt.Errorf("got:\n%s\nwant:\n%s", got, before)
			}
			return nil
		})
		t.Logf("%s: back after %s", command, time.Since(began).Round(time.Millisecond))
		if d := time.Since(began); d > 15*time.Second { // the promise is two seconds, on a machine that does nothing else
			t.Errorf("%s: back after %s", command, d)
		}
		mesh(t, []pod{r.pods[0], r.pods[2]})
	}
}

// TestOverlayForeign: an interface of another program with the name of the device stays as it is, and the nodes of the network are reached.
//
// Claim: An interface named patchbay.vx that another program has made is reported, and neither changed nor deleted
func TestOverlayForeign(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	n := r.first
	n.Run(t, "ip", "link", "add", device, "type", "vxlan", "id", "7", "dstport", "4789", "local", n.object.addresses[0])
	before := n.Run(t, "ip", "-d", "address", "show", device)
	r.startAgents()
	n.awaitProblem(nodeproblem.Overlay, "another program has made an interface of this name")
	n.awaitBy(r.second, "eth0")
	mesh(t, r.pods[:2])
	if got := n.by(r.far); got != [2]string{} {
		t.Errorf("routes to the far node by %q", got)
	}
	if out, err := n.Command(agentProgram(t), "--clean").CombinedOutput(); err != nil {
		t.Errorf("--clean: %v\n%s", err, out)
	}
	if after := n.Run(t, "ip", "-d", "address", "show", device); after != before {
		t.Errorf("%s\nbefore:\n%s", after, before)
	}
	n.Run(t, "ip", "link", "del", device)
	r.awaitAuto()
	n.awaitNoProblem("another program has made")
	mesh(t, r.pods)
}

// awaitMoved waits until the far host has its overlay from an address, which it was given at began, and all pods reach each other.
func (r *routed) awaitMoved(t *testing.T, name, addr string, began time.Time) {
	t.Helper()
	eventually(t, "all nodes follow to "+addr, func() error {
		out, err := r.far.Command("ip", "-d", "link", "show", name).Output()
		if err != nil || !strings.Contains(string(out), "local "+addr+" ") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return r.reach(name)
	})
	took := time.Since(began)
	t.Logf("%s: all nodes follow after %s", addr, took.Round(time.Millisecond))
	if took > 30*time.Second { // the promise is five seconds, on a machine that does nothing else
		t.Errorf("%s: all nodes follow after %s", addr, took)
	}
	mesh(t, r.pods)
}

// TestOverlayAddress: a node gets another InternalIP, and then has IPv6 alone.
//
// Claim: When the InternalIP of a node changes, its VXLAN device is made anew and all nodes follow within five seconds
func TestOverlayAddress(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	r.far.AddAddress("eth0", "203.0.113.77/24", "2001:db8:0:3::77/64")
	r.far.Baseline()
	r.startAgents()
	r.awaitAuto()
	mesh(t, r.pods)
	for _, moved := range [][]string{{"203.0.113.77", "2001:db8:0:3::77"}, {"2001:db8:0:3::77"}, {"203.0.113.77", "2001:db8:0:3::77"}} {
		name := device
		if len(moved) == 1 {
			name = "patchbay.vx6"
		}
		object := r.far.object
		object.addresses = moved
		began := time.Now()
		r.api.setAddresses(object)
		r.awaitMoved(t, name, moved[0], began)
	}
	eventually(t, "the device for IPv6 is gone", func() error {
		if r.first.has("patchbay.vx6") {
			return fmt.Errorf("%s", r.first.Run(t, "ip", "-d", "link", "show", "patchbay.vx6"))
		}
		return nil
	})
}

// TestOverlayNewNode: the Node object of a host behind the router is created, and all pods reach its pod.
//
// Claim: Pods of a new node behind a router are reached within two seconds after its Node object was created
func TestOverlayNewNode(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	r.startAgents()
	r.awaitAuto()
	var longest time.Duration
	for range 5 {
		r.api.remove(r.far.object.name)
		r.first.awaitBy(r.far, "")
		r.second.awaitBy(r.far, "")
		if text := r.first.overlay(); strings.Contains(text, "203.0.113") || strings.Contains(text, "PERMANENT") {
			t.Errorf("entries of a node that is gone:\n%s", text)
		}
		if text := r.far.overlay(); strings.Count(text, "PERMANENT") != 4 {
			t.Errorf("without its own Node object the overlay has changed:\n%s", text)
		}
		began := time.Now()
		r.api.create(r.far.object)
		eventually(t, "the new node is reached", func() error { return r.reach(device) })
		longest = max(longest, time.Since(began))
	}
	t.Logf("from the request to create a Node object to answers from its pod: %s at most, of 5", longest.Round(time.Millisecond))
	if longest > 20*time.Second { // the promise is two seconds, on a machine that does nothing else
		t.Errorf("it took %s", longest)
	}
	mesh(t, r.pods)
}

// reach returns nil when the hosts of the LAN have their routes to the far node by a device, and reach its pod.
func (r *routed) reach(name string) error {
	for i, n := range []*node{r.first, r.second} {
		if got := n.by(r.far); got != [2]string{name, name} {
			return fmt.Errorf("routes of %s by %q", n.object.name, got)
		}
		for _, addr := range r.pods[2].addresses {
			if err := r.pods[i].PingOnce(addr); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestOverlayKilled: the agent is killed at random moments while it makes the overlay from none, moves a node and changes the mode.
//
// Claim: patchbay-agent that is killed at any moment while it changes the overlay completes it at the next start
func TestOverlayKilled(t *testing.T) {
	t.Parallel()
	r := newRouted(t, "auto")
	r.startAgents()
	r.awaitAuto()
	moving := other(103)
	r.api.create(moving)
	for i := range 40 {
		r.first.stopAgent()
		r.first.write(configFile, configOf([]string{"auto", "vxlan", "direct"}[i%3]))
		moving.addresses = []string{fmt.Sprintf("203.0.113.%d", 110+i%2), fmt.Sprintf("2001:db8:0:3::%d", 110+i%2)}
		r.api.setAddresses(moving)
		if i%4 == 0 {
			_ = r.first.Command("ip", "link", "del", device).Run()
		}
		r.first.startAgent()
		time.Sleep(time.Duration(50+5*i) * time.Millisecond)
	}
	r.first.stopAgent()
	r.first.write(configFile, configOf("auto"))
	r.first.startAgent()
	r.awaitAuto()
	eventually(t, "the entries", func() error {
		if text := r.first.overlay(); strings.Count(text, "PERMANENT") != 4 || strings.Count(text, "self permanent") != 2 || !strings.Contains(text, "dst 203.0.113.111 ") {
			return fmt.Errorf("the overlay:\n%s", text)
		}
		return nil
	})
	mesh(t, r.pods)
}
