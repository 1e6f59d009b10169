package conformance

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

func kernelChecks() []Check {
	return []Check{
		{
			ID: "interface-up", Level: Should, Source: "SPEC 2, Overview: ensure it has connectivity", run: interfaceUp,
			Text: "returns from ADD with the interface up and with carrier",
		},
		{
			ID: "interface-exists", Level: Must, Source: "SPEC 2, ADD", run: interfaceTaken,
			Text: "refuses ADD if the container has an interface of this name, and keeps it as it is",
		},
		{
			ID: "interface-exists-leaves", Level: Practice, Source: "a failed ADD that is never followed by DEL", run: interfaceTakenLeaves,
			Text: "leaves nothing after an ADD that is refused because the container has an interface of this name",
		},
		{
			ID: "add-twice", Level: Must, Source: "SPEC 2, ADD", run: addTwice,
			Text: "refuses a second ADD of the same attachment",
		},
		{
			ID: "add-twice-keeps", Level: Practice, Source: "the first ADD was answered", run: addTwiceKeeps,
			Text: "keeps the attachment as it is when a second ADD of it is refused",
		},
		{
			ID: "add-second-interface", Level: Should, Source: "SPEC 2, ADD", run: secondInterface,
			Text: "attaches a container to the same network twice, under two interface names",
		},
		{
			ID: "add-second-network", Level: Should, Source: "SPEC 3, attachments", Needs: []string{"otherPool"}, run: secondNetwork,
			Text: "attaches a container to two networks",
		},
	}
}

// trafficChecks are those of addresses, routes and traffic.
func trafficChecks() []Check {
	return []Check{
		{
			ID: "addresses-unique", Level: Practice, Source: "IPAM", Needs: []string{"ipam"}, run: addressesUnique,
			Text: "gives each of ten attachments another address",
		},
		{
			ID: "default-route", Level: Practice, Source: "the configuration asks for one", Needs: []string{"defaultRoute"}, run: defaultRoute,
			Text: "creates a default route if the configuration asks for one",
		},
		{
			ID: "default-route-absent", Level: Practice, Source: "the configuration asks for none", run: noDefaultRoute,
			Text: "creates no default route unless the configuration asks for one",
		},
		{
			ID: "host-unchanged", Level: Practice, Source: "other networks of the host", run: hostUnchanged,
			Text: "changes no interface, address, route or rule of others with ADD",
		},
		{
			ID: "reach-gateway", Level: Practice, Source: "SPEC 2, Overview: ensure it has connectivity", Needs: []string{"gateway", "ipam"}, run: reachGateway,
			Text: "connects the container to its gateway when ADD returns",
		},
		{
			ID: "reach-peer", Level: Practice, Source: "SPEC, Overview: a network", Needs: []string{"peers", "ipam"}, run: reachPeer,
			Text: "connects two containers of a network when ADD returns",
		},
		{
			ID: "reach-peer-ipv6", Level: Practice, Source: "SPEC, Overview: a network", Needs: []string{"peers", "dualStack"}, run: reachPeer6,
			Text: "connects two containers of a network by IPv6 when ADD returns",
		},
		{
			ID: "ipv6-usable", Level: Practice, Source: "programs bind to the address at once", Needs: []string{"dualStack"}, run: usable6,
			Text: "returns from ADD with IPv6 addresses that are not tentative",
		},
	}
}

func interfaceUp(t *trial) {
	c, _ := t.attach("c", t.conf())
	if state := t.link(c.Netns, "eth0").Attrs(); state.Flags&net.FlagUp == 0 || state.RawFlags&unix.IFF_RUNNING == 0 {
		t.Fatalf("eth0 is not up")
	}
}

func interfaceTaken(t *trial) {
	t.addToTaken()
	t.intact("ADD")
}

func interfaceTakenLeaves(t *trial) {
	t.addToTaken()
	t.clean("ADD")
}

// addToTaken calls ADD for a container that has an interface eth0, and returns it.
func (t *trial) addToTaken() *nettest.Container {
	t.resident(t.conf())
	c := t.host.Container("c")
	t.ip(c.Netns, "link add eth0 type veth peer name other")
	t.baseline()
	t.refuses(t.do(t.call("ADD", c, t.conf())), "ADD")
	return c
}

func addTwice(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.refuses(t.do(t.call("ADD", c, t.conf())), "the second ADD")
}

func addTwiceKeeps(t *trial) {
	t.attach("other", t.conf())
	c, _ := t.attach("c", t.conf())
	t.baseline()
	t.refuses(t.do(t.call("ADD", c, t.conf())), "the second ADD")
	t.clean("the second ADD")
}

func secondInterface(t *trial) {
	c, first := t.attach("c", t.conf())
	t.baseline()
	call := t.call("ADD", c, t.conf())
	call.IfName = "eth1"
	if second := t.result(t.do(call)); len(first.IPs) > 0 && t.address(first) == t.address(second) {
		t.Fatalf("both interfaces have the same address")
	}
	if !has(c.Netns, "eth0") || !has(c.Netns, "eth1") {
		t.Fatalf("the container has not both interfaces")
	}
	call.Command = "DEL"
	t.succeeds(t.do(call), "DEL")
	t.clean("DEL of the second interface")
}

func secondNetwork(t *trial) {
	c, _ := t.attach("c", t.conf())
	t.on("other", func() {
		call := t.call("ADD", c, t.conf(t.variant("otherPool")))
		call.IfName = "eth1"
		t.result(t.do(call))
	})
	if !has(c.Netns, "eth0") || !has(c.Netns, "eth1") {
		t.Fatalf("the container has not both interfaces")
	}
}

func addressesUnique(t *trial) {
	var seen []netip.Addr
	for _, name := range strings.Fields("a b c d e f g h i j") {
		_, r := t.attach(name, t.conf())
		if a := t.address(r); slices.Contains(seen, a) {
			t.Fatalf("two attachments have the address %s", a)
		} else {
			seen = append(seen, a)
		}
	}
}

func anywhere() netip.Prefix { return netip.MustParsePrefix("0.0.0.0/0") }

func defaultRoute(t *trial) {
	c, _ := t.attach("c", t.conf(t.variant("defaultRoute")))
	if !t.hasRoute(c.Netns, anywhere()) {
		t.Fatalf("the container has no default route")
	}
}

func noDefaultRoute(t *trial) {
	c, _ := t.attach("c", t.conf())
	if t.hasRoute(c.Netns, anywhere()) {
		t.Fatalf("the container has a default route")
	}
}

func hostUnchanged(t *trial) {
	t.ip(t.host.Netns, "link add mine type bridge")
	t.ip(t.host.Netns, "address add 203.0.113.1/24 dev mine")
	t.ip(t.host.Netns, "link set mine up")
	t.ip(t.host.Netns, "rule add from 203.0.113.0/24 lookup 77")
	t.ip(t.host.Netns, "route add 192.0.2.0/24 via 203.0.113.2 table 77")
	t.resident(t.conf())
	t.attach("c", t.conf())
	lost := slices.DeleteFunc(t.host.Leaks(), func(line string) bool {
		return strings.HasPrefix(line, "+ ") || t.shared(line) || strings.Contains(line, "container c:")
	})
	if len(lost) > 0 {
		t.Fatalf("ADD changes %s\n%s", described(lost), strings.Join(lost, "\n"))
	}
}

func reachGateway(t *trial) {
	c, r := t.attach("c", t.conf())
	t.reaches(c.Netns, t.gateway(r), "the gateway")
}

func reachPeer(t *trial) {
	a, _ := t.attach("a", t.conf())
	_, r := t.attach("b", t.conf())
	t.reaches(a.Netns, t.address(r), "the other container")
}

// sixth returns the IPv6 address of a result.
func (t *trial) sixth(r *result) netip.Addr {
	for _, ip := range r.IPs {
		if ip.Address.Addr().Is6() {
			return ip.Address.Addr()
		}
	}
	t.Fatalf("the result has no IPv6 address")
	return netip.Addr{}
}

func reachPeer6(t *trial) {
	a, _ := t.attach("a", t.conf(t.variant("dualStack")))
	_, r := t.attach("b", t.conf(t.variant("dualStack")))
	t.reaches(a.Netns, t.sixth(r), "the other container")
}

func usable6(t *trial) {
	c, r := t.attach("c", t.conf(t.variant("dualStack")))
	want := t.sixth(r)
	addrs, err := c.Netlink().AddrList(t.link(c.Netns, "eth0"), netlink.FAMILY_V6)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if a.IP.String() == want.String() && a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
			t.Fatalf("the address is tentative")
		}
	}
}

// capability returns the section runtimeConfig with one capability.
func capability(name string, value any) conf { return conf{"runtimeConfig": conf{name: value}} }

// remove deletes an interface.
func (t *trial) remove(n *nettest.Netns, name string) { t.ip(n, "link delete "+name) }
