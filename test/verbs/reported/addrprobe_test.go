package reported

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// lanNode is a host whose br0 is part of a LAN, on which another host has .20.
type lanNode struct {
	*addrNode
	lan *nettest.LAN
	pc  *nettest.Netns
	mac string
}

func newLANNode(t *testing.T) *lanNode {
	t.Helper()
	n := &lanNode{addrNode: newAddrNode(t)}
	n.lan = n.LAN(t)
	n.pc = n.lan.Neighbour("pc", "192.0.2.20/24", "2001:db8:0:1::20/64")
	n.mac = n.pc.MAC("eth0")
	n.Baseline()
	return n
}

const lanPool = `"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.20", "rangeEnd": "192.0.2.22"}], [{"subnet": "2001:db8:0:1::/64", "rangeStart": "2001:db8:0:1::20"}]]`

// probedByPerson: nothing is created, and the error names the MAC of the other host.
func probedByPerson(t *testing.T) {
	n := newLANNode(t)
	says := "192.0.2.20 is in use on the LAN: " + n.mac + " answers for it on bridge br0"
	n.says(t, n.patchbay(t, "up", "web", "--network", "br0", "--ip", "192.0.2.20"), 1, says)
	n.container("box")
	n.says(t, n.patchbay(t, "attach", "box", "--network", "br0", "--ip", "192.0.2.20"), 1, says)
	if a := n.patchbay(t, "up", "web", "--network", "br0", "--ip", "192.0.2.21"); a.Exit != 0 {
		t.Fatal(a)
	}
	if a := n.patchbay(t, "down", "web"); a.Exit != 0 {
		t.Fatal(a)
	}
}

func probedRequest(t *testing.T) {
	n := newLANNode(t)
	conf := addrAdopting(lanPool)
	n.refused(t, "web", conf, "IP=2001:db8:0:1::20", 107, "requested IP address 2001:db8:0:1::20 is in use on the LAN: "+n.mac+" answers for it on bridge br0")
	n.refused(t, "web", addrWith(conf, `"runtimeConfig": {"ips": ["192.0.2.20"]}`), "", 107, "requested IP address 192.0.2.20 is in use on the LAN: "+n.mac)
	n.getsAs(t, "web", conf, "IP=192.0.2.21,2001:db8:0:1::21", "192.0.2.21/24 2001:db8:0:1::21/64")
	n.reaches(t, "web", "192.0.2.20", "2001:db8:0:1::20")
	n.del(t, "web", conf)
}

// probedPool: pool and sticky reservations skip the address, and the error says so when nothing else is left.
func probedPool(t *testing.T) {
	n := newLANNode(t)
	conf := addrAdopting(`"sticky": true, ` + lanPool)
	n.gets(t, "web", conf, "192.0.2.21/24 2001:db8:0:1::21/64")
	n.del(t, "web", conf)
	n.pc.AddAddress("eth0", "192.0.2.21/24")
	n.gets(t, "web", conf, "192.0.2.22/24 2001:db8:0:1::21/64")
	n.del(t, "web", conf)
	n.pc.AddAddress("eth0", "192.0.2.22/24")
	n.refused(t, "web", conf, "", 11, "no IP addresses available in range set: 192.0.2.20-192.0.2.22; not assignable: 192.0.2.20 is in use on the LAN: "+n.mac)
	n.Run(t, "ip", "neigh", "flush", "dev", "br0")
}

// probedQuietly: no neighbour cache changes, neither by the address nor by a wrong MAC of the host.
func probedQuietly(t *testing.T) {
	n := newLANNode(t)
	frames := n.pc.Tcpdump(t, "eth0", "arp or icmp6")
	n.pc.Run(t, "ip", "neigh", "flush", "all")
	before := n.Run(t, "ip", "neigh", "show", "dev", "br0")
	n.refused(t, "web", addrAdopting(lanPool), "IP=192.0.2.20", 107, "answers for it")
	if got := n.pc.Run(t, "ip", "neigh", "show"); strings.Contains(got, nettest.LANHost4+" ") || strings.Contains(got, "192.0.2.20 ") {
		t.Errorf("the machine that was asked has learned: %s", got)
	}
	if after := n.Run(t, "ip", "neigh", "show", "dev", "br0"); after != before {
		t.Errorf("neighbours of the host were %q, are %q", before, after)
	}
	seen := strings.Join(frames.Stop(t), "\n")
	if !hasAll(seen, "Request who-has 192.0.2.20", "tell 0.0.0.0", "Reply 192.0.2.20 is-at "+n.mac, "ff02::1:ff00:20: ICMP6, neighbor solicitation") {
		t.Errorf("the machine that was asked saw:\n%s", seen)
	}
	if n := strings.Count(seen, "Request who-has 192.0.2.20"); n != 1 { // the first answer ends the probe
		t.Errorf("%d requests:\n%s", n, seen)
	}
}

func probeOff(t *testing.T) {
	n := newLANNode(t)
	conf := addrAdopting(`"probe": false, ` + lanPool)
	n.getsAs(t, "web", conf, "IP=192.0.2.20", "192.0.2.20/24 2001:db8:0:1::20/64")
	n.del(t, "web", conf)
	n.refused(t, "web", addrAdopting(`"probe": "no", `+lanPool), "", 7, "ipam.probe: want true or false")
	n.Run(t, "ip", "neigh", "flush", "dev", "br0")
}

// probedNowhereElse: not on a bridge that Patchbay created, nor on one that has only host interfaces as ports.
func probedNowhereElse(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	n.Run(t, "ip", "link", "set", "br0", "address", "02:00:00:00:00:01")
	n.Baseline()
	for _, conf := range []string{addrRouted, addrWith(addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}]]`), `"name": "adopted"`)} {
		n.someAddress(t, "web", conf, "")
		frames := n.container("web").Tcpdump(t, "eth0", "arp")
		n.someAddress(t, "two", conf, "")
		if seen := strings.Join(frames.Stop(t), "\n"); strings.Contains(seen, "tell 0.0.0.0") || !strings.Contains(seen, "Request who-has") {
			t.Errorf("a container of ours saw:\n%s", seen)
		}
		n.del(t, "two", conf)
		n.del(t, "web", conf)
	}
}
