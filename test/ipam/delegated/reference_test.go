package delegated

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
	"github.com/patchbay-cni/patchbay/test/kit/cni"
	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

const sharedDir = "/var/lib/cni/networks/net"

// hostLocal returns the section ipam of the reference host-local, for both families, with its state where the oracle
// finds it.
func hostLocal() cni.Conf {
	return cni.Conf{"type": "host-local", "ranges": [][]cni.Conf{{{"subnet": "10.1.0.0/24"}}, {{"subnet": "fd00:1::/64"}}}}
}

func static(addresses ...cni.Conf) cni.Conf {
	return cni.Conf{"type": "static", "addresses": addresses}
}

// TestHostLocal: host-local v1.9.1 assigns addresses, which are in the result, in the kernel and in the record; DEL
// releases them.
//
// Claim: Any IPAM plugin can be used: host-local, static and dhcp of v1.9.1, in configurations of every version
func TestHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(hostLocal(), cni.Conf{"isDefaultGateway": true}))
	s.ok("STATUS")
	r := s.add()
	expect.Equal(t, "addresses", ips(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Equal(t, "in the container", addressesOf(s.c.Netns), []string{"10.1.0.2/24", "fd00:1::2/64"})
	for _, ip := range r.IPs {
		if ip.Interface == nil || *ip.Interface != 2 || len(r.Interfaces) != 3 || r.Interfaces[2].Sandbox != s.c.Path() {
			t.Errorf("%v is not the container's, of %v", ip, r.Interfaces)
		}
	}
	expect.Equal(t, "routes", len(r.Routes), 2)
	ping(t, s.c.Netns, "10.1.0.1")
	ping(t, s.c.Netns, "fd00:1::1")
	expect.Contains(t, s.record(), `"ipamType": "host-local"`, `"ipam": "done"`, `"10.1.0.2/24"`)
	expect.Equal(t, "address files", len(s.glob(sharedDir+"/*:*"))+len(s.glob(sharedDir+"/10.*")), 2)
	s.ok("CHECK")
	s.ok("DEL")
	s.ok("DEL")
	expect.Equal(t, "address files", len(s.glob(sharedDir+"/*:*"))+len(s.glob(sharedDir+"/10.*")), 0)
	s.nothingLeft()
}

// TestEveryVersion: configuration and plugin use the same version, from the first to the last.
//
// Claim: Any IPAM plugin can be used: host-local, static and dhcp of v1.9.1, in configurations of every version
func TestEveryVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			h := nettest.Host(t)
			s := on(t, h, h.Container("c"), withIPAM(hostLocal(), cni.Conf{"cniVersion": version, "isGateway": true}))
			expect.Equal(t, "addresses", ips(s.add()), []string{"10.1.0.2/24", "fd00:1::2/64"})
			s.ok("DEL")
			s.nothingLeft()
		})
	}
}

// TestStatic: the routes of static v1.9.1 reach the kernel, its DNS the result; the key dns replaces its DNS.
//
// Claim: Any IPAM plugin can be used: host-local, static and dhcp of v1.9.1, in configurations of every version
func TestStatic(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	ipam := static(cni.Conf{"address": "10.1.0.9/24", "gateway": "10.1.0.254"}, cni.Conf{"address": "10.1.1.9/24"})
	ipam["routes"] = []cni.Conf{{"dst": "10.9.0.0/16"}, {"dst": "10.8.0.0/16", "gw": "10.1.0.3", "priority": 7}}
	ipam["dns"] = cni.Conf{"nameservers": []string{"192.0.2.53"}}
	s := on(t, h, h.Container("c"), withIPAM(ipam))
	r := s.add()
	expect.Equal(t, "addresses", ips(r), []string{"10.1.0.9/24", "10.1.1.9/24"})
	expect.Equal(t, "nameservers", r.DNS.Nameservers, []string{"192.0.2.53"})
	routes := s.c.Run(t, "ip", "-4", "route")
	expect.Contains(t, routes, "10.9.0.0/16 via 10.1.0.254 dev eth0", "10.8.0.0/16 via 10.1.0.3 dev eth0 metric 7")
	s.ok("CHECK")
	s.ok("DEL")
	s.conf = withIPAM(ipam, cni.Conf{"dns": cni.Conf{"nameservers": []string{"192.0.2.99"}}})
	expect.Equal(t, "nameservers", s.add().DNS.Nameservers, []string{"192.0.2.99"})
	s.ok("DEL")
	s.nothingLeft()
}

// TestGatewayOfAnotherIPAM: the bridge gets the gateway of the IPAM result, or else the first address of the subnet; a
// gateway outside of the subnet is refused.
//
// Claim: The gateway of a delegated IPAM plugin, or the first address of its subnet, is on the bridge; single addresses are routed to it;
// `ipMasq` masquerades them
func TestGatewayOfAnotherIPAM(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(static(cni.Conf{"address": "10.1.0.9/24"}), cni.Conf{"isDefaultGateway": true}))
	expect.Equal(t, "gateway", s.add().IPs[0].Gateway.String(), "10.1.0.1")
	ping(t, s.c.Netns, "10.1.0.1")
	expect.Contains(t, s.c.Run(t, "ip", "route"), "default via 10.1.0.1 dev eth0")
	s.ok("CHECK")
	s.ok("DEL")
	for address, why := range map[string]string{
		`{"address": "10.1.0.9/24", "gateway": "10.2.0.1"}`: "gateway 10.2.0.1 is not in subnet 10.1.0.0/24",
		`{"address": "10.1.0.1/24"}`:                        "10.1.0.1/24 is the address of its own gateway",
		`{"address": "10.1.0.9/32"}`:                        "10.1.0.9/32 has no gateway",
	} {
		s.conf = withIPAM(cni.Conf{"type": "static", "addresses": rawJSON("[" + address + "]")}, cni.Conf{"isGateway": true})
		s.fails("ADD", codeIPAM, "IPAM plugin static ("+s.bin+"/static) returned an invalid result: "+why)
		s.nothingLeft()
	}
}

// rawJSON is JSON text that is encoded unchanged.
type rawJSON string

// MarshalJSON returns the text.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// TestSingleAddress: with a /32 of another IPAM plugin and the host as its gateway, ADD adds a host route to it, and
// DEL deletes the route.
//
// Claim: The gateway of a delegated IPAM plugin, or the first address of its subnet, is on the bridge; single addresses are routed to it;
// `ipMasq` masquerades them
func TestSingleAddress(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(static(cni.Conf{"address": "10.1.0.9/32", "gateway": "10.7.0.1"}), cni.Conf{"isDefaultGateway": true}))
	s.add()
	ping(t, h.Netns, "10.1.0.9")
	expect.Contains(t, h.Run(t, "ip", "route"), "10.1.0.9 dev cni0")
	s.ok("CHECK")
	s.ok("DEL")
	if routes := h.Run(t, "ip", "route"); strings.Contains(routes, "10.1.0.9") {
		t.Errorf("the route is still there:\n%s", routes)
	}
	s.nothingLeft()
}

// TestMasqueradeOfAnotherIPAM: the ruleset has the addresses of another IPAM plugin between ADD and DEL.
//
// Claim: The gateway of a delegated IPAM plugin, or the first address of its subnet, is on the bridge; single addresses are routed to it;
// `ipMasq` masquerades them
func TestMasqueradeOfAnotherIPAM(t *testing.T) {
	t.Parallel()
	nettest.Need(t, nettest.NFTables, nettest.Tool("nft"))
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(hostLocal(), cni.Conf{"isDefaultGateway": true, "ipMasq": true}))
	s.add()
	expect.Contains(t, h.Run(t, "nft", "list", "ruleset"), "10.1.0.2")
	s.ok("CHECK")
	s.ok("DEL")
	if rules := h.Run(t, "nft", "list", "ruleset"); strings.Contains(rules, "10.1.0.2") {
		t.Errorf("it is still there:\n%s", rules)
	}
	s.nothingLeft()
}

// TestChainAfterAnotherPlugin: in a chain the interface of another plugin gets the addresses.
//
// Claim: Any IPAM plugin can be used: host-local, static and dhcp of v1.9.1, in configurations of every version
func TestChainAfterAnotherPlugin(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	c := h.Container("c")
	h.Veth("other0", c.Netns, "eth0")
	h.Baseline()
	s := on(t, h, c, withIPAM(hostLocal(), cni.Conf{"isGateway": true}))
	s.conf["prevResult"] = cni.Conf{"cniVersion": "1.1.0", "interfaces": []cni.Conf{{"name": "other0"}, {"name": "eth0", "sandbox": c.Path()}}}
	r := s.add()
	expect.Equal(t, "addresses", ips(r), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Equal(t, "interface", *r.IPs[0].Interface, 1)
	ping(t, c.Netns, "10.1.0.1")
	s.ok("CHECK")
	s.ok("DEL")
	expect.Equal(t, "in the container", addressesOf(c.Netns), nil)
	s.nothingLeft()
}

// TestHostLocalIsALinkToPatchbay: if host-local is a symbolic link to patchbay, the same process handles the call, with
// host-local's files.
//
// Claim: A link named host-local to this program is the built-in IPAM with host-local's directory, for Patchbay and for other main plugins
func TestHostLocalIsALinkToPatchbay(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(hostLocal(), cni.Conf{"isGateway": true}))
	s.link("host-local", nettest.Patchbay(t))
	expect.Equal(t, "addresses", ips(s.add()), []string{"10.1.0.2/24", "fd00:1::2/64"})
	expect.Contains(t, s.record(), `"dataDir": "/var/lib/cni/networks"`)
	expect.Equal(t, "files", len(s.glob(sharedDir+"/10.1.0.2")), 1)
	s.ok("CHECK")
	s.ok("DEL")
	s.nothingLeft()
	s.add()
	h.Do(func() { _ = os.RemoveAll("/run/patchbay/net") })
	s.ok("DEL")
	expect.Equal(t, "files without a record", len(s.glob(sharedDir+"/10.1.0.*")), 0)
	s.nothingLeft()
}

// TestHostLocalReplacedByLink: a symbolic link to patchbay in place of host-local releases the addresses that host-local
// assigned.
//
// Claim: A link named host-local to this program is the built-in IPAM with host-local's directory, for Patchbay and for other main plugins
func TestHostLocalReplacedByLink(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(hostLocal()))
	s.add()
	s.link("host-local", nettest.Patchbay(t))
	s.ok("DEL")
	expect.Equal(t, "files", len(s.glob(sharedDir+"/10.1.0.*"))+len(s.glob(sharedDir+"/fd00*")), 0)
	s.nothingLeft()
}

// TestCalledHostLocal: patchbay under the name host-local only assigns addresses for another main plugin.
//
// Claim: A link named host-local to this program is the built-in IPAM with host-local's directory, for Patchbay and for other main plugins
func TestCalledHostLocal(t *testing.T) {
	t.Parallel()
	h := nettest.Host(t)
	s := on(t, h, h.Container("c"), withIPAM(hostLocal()))
	s.link("host-local", nettest.Patchbay(t))
	call := func(verb, plugin string) nettest.Answer {
		c := s.call(verb)
		c.Plugin = filepath.Join(s.bin, plugin)
		return h.CNI(t, c)
	}
	for _, main := range []string{"ptp", "patchbay"} { // also another copy of patchbay
		s.conf["type"], s.prev = main, nil
		r := call("ADD", "host-local").Result(t)
		expect.Equal(t, "interfaces", len(r.Interfaces), 0)
		expect.Equal(t, "addresses", len(r.IPs), 2)
		expect.Equal(t, "files", len(s.glob(sharedDir+"/10.1.0.*")), 1)
		call("CHECK", "host-local").OK(t)
		call("DEL", "host-local").OK(t)
		s.nothingLeft()
	}
	s.link("ptp", nettest.Program(t, "ptp"))
	s.conf["type"] = "ptp"
	answer := call("ADD", "ptp")
	expect.Equal(t, "addresses", len(answer.Result(t).IPs), 2)
	s.prev = answer.Stdout
	call("CHECK", "ptp").OK(t)
	call("DEL", "ptp").OK(t)
	s.nothingLeft()
}
