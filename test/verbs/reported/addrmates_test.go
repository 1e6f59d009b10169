package reported

import (
	"os"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

const matesPool = `"ranges": [[{"subnet": "192.0.2.0/24", "rangeStart": "192.0.2.10", "rangeEnd": "192.0.2.12"}], [{"subnet": "2001:db8:1::/64"}]]`

// secondNetwork: the address of a live attachment is not assigned, that of a stale one is.
func secondNetwork(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	one, two := addrAdopting(matesPool), addrWith(addrAdopting(matesPool), `"name": "two"`)
	n.gets(t, "web", one, "192.0.2.10/24 2001:db8:1::2/64")
	n.gets(t, "db", two, "192.0.2.11/24 2001:db8:1::3/64")
	n.reaches(t, "db", "192.0.2.10", "2001:db8:1::2")
	n.refused(t, "mail", two, "IP=192.0.2.10", 107, "requested IP address 192.0.2.10 is the address of container web of network net on the same bridge")
	n.refused(t, "mail", one, "IP=2001:db8:1::3", 107, "requested IP address 2001:db8:1::3 is the address of container db of network two on the same bridge")
	n.gets(t, "mail", two, "192.0.2.12/24 2001:db8:1::4/64")
	n.refused(t, "more", two, "", 11, "not assignable: 192.0.2.10 is the address of container web of network net on the same bridge")
	n.kill(t, "web")
	n.gets(t, "more", two, "192.0.2.10/24 2001:db8:1::5/64")
	other := addrWith(two, `"bridge": "br1"`) // the addresses must differ on one bridge only
	n.Bridge("br1")
	n.del(t, "more", two)
	n.getsAs(t, "more", other, "IP=192.0.2.10", "192.0.2.10/24 2001:db8:1::6/64")
	n.del(t, "more", other)
	n.del(t, "mail", two)
	n.del(t, "db", two)
	n.CNI(t, nettest.Call{Command: "DEL", ContainerID: "web", IfName: "eth0", Config: []byte(one)}).OK(t)
}

// secondNetworkAtOnce: the second ADD sees the address of the first, although neither waits for the other.
func secondNetworkAtOnce(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	n.Run(t, "ip", "link", "set", "br0", "address", "02:00:00:00:00:01") // a MAC that does not change with the ports
	n.Baseline()
	pool := `"ranges": [[{"subnet": "192.0.2.0/24"}]]`
	confs := []string{addrAdopting(pool), addrWith(addrAdopting(pool), `"name": "two"`), addrWith(addrAdopting(pool), `"name": "three"`)}
	const each = 4
	var calls []nettest.Call
	for i, conf := range confs {
		for j := range each {
			calls = append(calls, n.call(t, "ADD", addrText("c%d-%d", i, j), conf))
		}
	}
	var running []*nettest.Running
	for _, c := range calls {
		running = append(running, n.StartCNI(t, c))
	}
	seen := map[string]string{}
	for i, r := range running {
		address := r.Wait(t).Result(t).IPs[0].Address.String()
		if other, twice := seen[address]; twice {
			t.Errorf("%s and %s have the same address, %s", calls[i].ContainerID, other, address)
		}
		seen[address] = calls[i].ContainerID
	}
	for _, c := range calls {
		c.Command = "DEL"
		n.CNI(t, c).OK(t)
	}
}

func secondNetworkElsewhere(t *testing.T) {
	n := newAddrNode(t, nettest.Watch("/run/other"))
	n.Bridge("br0")
	one := addrAdopting(matesPool)
	same := addrWith(one, `"stateDir": "/run/other"`) // the same name with another state directory is another network
	n.gets(t, "web", one, "192.0.2.10/24 2001:db8:1::2/64")
	n.gets(t, "db", same, "192.0.2.11/24 2001:db8:1::3/64")
	n.del(t, "db", same)
	n.Do(func() {
		if err := os.RemoveAll("/run/patchbay/.bridges"); err != nil {
			t.Error(err)
		}
	})
	two := addrWith(one, `"name": "two"`)
	n.gets(t, "mail", two, "192.0.2.11/24 2001:db8:1::3/64")
	n.del(t, "mail", two)
	n.del(t, "web", one)
}

func staticTwice(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	static := `{"cniVersion": "1.0.0", "name": "net", "type": "patchbay", "bridge": "br0", "ipam": {"type": "static", "addresses": [{"address": "192.0.2.7/24"}]}}`
	n.gets(t, "web", static, "192.0.2.7/24")
	n.refused(t, "db", static, "", 107, "192.0.2.7/24 cannot be assigned to a container: it is the address of container web of network net on the same bridge")
	n.refused(t, "db", addrWith(static, `"name": "two"`), "", 107, "it is the address of container web of network net on the same bridge")
	n.refused(t, "db", addrWith(addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24"}]]`), `"name": "two"`), "IP=192.0.2.7", 107, "requested IP address 192.0.2.7 is the address of container web of network net")
	n.del(t, "web", static)
	n.gets(t, "db", static, "192.0.2.7/24")
	n.del(t, "db", static)
}

// duplicatesInDoctor: the duplicates are older than the check, or were added with ip(8).
func duplicatesInDoctor(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0", "192.0.2.254/24", "2001:db8:1::ff/64")
	conf := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/24", "gateway": "192.0.2.1"}], [{"subnet": "2001:db8:1::/64"}]]`)
	n.gets(t, "web", conf, "192.0.2.2/24 2001:db8:1::2/64")
	n.gets(t, "db", conf, "192.0.2.3/24 2001:db8:1::3/64")
	n.noFinding(t, "addresses")
	n.AddAddress("br0", "192.0.2.2/32")
	n.finding(t, "duplicate address 192.0.2.2: of web of network net, and of bridge br0", "ip address del 192.0.2.2/32 dev br0")
	n.Run(t, "ip", "address", "del", "192.0.2.2/32", "dev", "br0")
	n.Run(t, "ip", "-6", "route", "add", "default", "via", "2001:db8:1::3", "dev", "br0")
	n.finding(t, "address 2001:db8:1::3 of db of network net is also the host's default gateway through bridge br0", "recreate container db")
	n.Run(t, "ip", "-6", "route", "del", "default")
	n.edit(t, "/run/patchbay/net/db@eth0.json", "192.0.2.3/24", "192.0.2.2/24")
	n.finding(t, "duplicate address 192.0.2.2 on bridge br0: of db of network net and of web of network net", "recreate container web")
	n.edit(t, "/run/patchbay/net/db@eth0.json", "192.0.2.2/24", "192.0.2.1/24")
	n.finding(t, "address 192.0.2.1 of db of network net is also the gateway of network net", "recreate container db")
	n.edit(t, "/run/patchbay/net/db@eth0.json", "192.0.2.1/24", "192.0.2.255/24")
	n.finding(t, "address 192.0.2.255 of db of network net is the broadcast address of 192.0.2.0/24", "recreate container db")
	n.edit(t, "/run/patchbay/net/db@eth0.json", "192.0.2.255/24", "192.0.2.3/24")
	n.del(t, "db", conf)
	n.del(t, "web", conf)
}

func (n *addrNode) finding(t *testing.T, parts ...string) {
	t.Helper()
	if a := n.patchbay(t, "doctor"); a.Exit != 1 || !hasAll(string(a.Stdout), parts...) {
		t.Errorf("doctor does not say %q: %s", parts, a)
	}
}

func (n *addrNode) noFinding(t *testing.T, about string) {
	t.Helper()
	if a := n.patchbay(t, "doctor"); a.Exit != 0 || !strings.Contains(string(a.Stdout), " "+about) {
		t.Errorf("doctor has a finding, or does not look at %s: %s", about, a)
	}
}

// edit replaces a text in a file of the host.
func (n *addrNode) edit(t *testing.T, path, was, is string) {
	t.Helper()
	n.Do(func() {
		text, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(text), was) {
			t.Errorf("%s has no %s", path, was)
		}
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(text), was, is, 1)), 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// gatewayOfSecondNetwork: the router is on the LAN, and on this host only the first network has its address.
func gatewayOfSecondNetwork(t *testing.T) {
	n := newAddrNode(t)
	n.Bridge("br0")
	one := addrAdopting(`"ranges": [[{"subnet": "192.0.2.0/25", "gateway": "192.0.2.130"}]]`)
	two := addrWith(addrAdopting(`"ranges": [[{"subnet": "192.0.2.128/25", "rangeStart": "192.0.2.130"}]]`), `"name": "two"`)
	n.gets(t, "web", one, "192.0.2.1/25")
	n.gets(t, "db", two, "192.0.2.131/25")
	n.refused(t, "mail", two, "IP=192.0.2.130", 107, "requested IP address 192.0.2.130 is the gateway of network net on the same bridge")
	n.del(t, "web", one)
	n.getsAs(t, "mail", two, "IP=192.0.2.130", "192.0.2.130/25")
	n.del(t, "mail", two)
	n.del(t, "db", two)
	n.has(t, "/run/patchbay", ".bridges ipam net two")
}
