package conformance

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// versionChecks are those of the result of each version.
func versionChecks() []Check {
	var checks []Check
	for _, v := range Versions() {
		checks = append(checks, Check{
			ID: "result-" + v, Level: Must, Source: "SPEC " + v + ", result", Needs: []string{"ipam"}, run: func(t *trial) { resultOf(t, v) },
			Text: "returns a result of version " + v + " for a configuration of that version, with the addresses of the kernel",
		})
	}
	return checks
}

func resultChecks() []Check {
	ipam := []string{"ipam"}
	return append(versionChecks(),
		Check{
			ID: "result-keys", Level: Practice, Source: "SPEC 1, compatible within a major version", run: resultKeys,
			Text: "returns no key that the major version of the result does not define, in every supported version",
		},
		Check{
			ID: "result-only", Level: Should, Source: "SPEC 5", run: resultOnly,
			Text: "prints the result, and nothing else, on stdout",
		},
		Check{
			ID: "result-sandbox", Level: Must, Source: "SPEC 5, interfaces", Since: "0.3.0", run: resultSandbox,
			Text: "returns the interface CNI_IFNAME with the value of CNI_NETNS as sandbox",
		},
		Check{
			ID: "result-mac", Level: Must, Source: "SPEC 5, interfaces", Since: "0.3.0", run: resultMAC,
			Text: "returns the MAC address that each interface has in the kernel",
		},
		Check{
			ID: "result-interfaces-exist", Level: Must, Source: "SPEC 5, interfaces", Since: "0.3.0", run: resultExist,
			Text: "returns no interface that does not exist",
		},
		Check{
			ID: "result-interfaces-all", Level: Must, Source: "SPEC 5, interfaces", Since: "0.3.0", run: resultAll,
			Text: "returns every interface that the attachment has created, also those of the host",
		},
		Check{
			ID: "result-ips-interface", Level: Must, Source: "SPEC 5, ips", Since: "0.3.0", Needs: ipam, run: resultIndex,
			Text: "returns for each address the index of the interface that has it",
		},
		Check{
			ID: "result-ips-complete", Level: Must, Source: "SPEC 5, ips", Needs: []string{"dualStack"}, run: resultComplete,
			Text: "returns every IPv4 and IPv6 address of the interface with its prefix length, and no other",
		},
		Check{
			ID: "result-gateway", Level: Practice, Source: "the gateway is the next hop of routes without gw", Needs: []string{"gateway", "ipam"}, run: resultGateway,
			Text: "returns a gateway that is an address of the host in the subnet of the address",
		},
		Check{
			ID: "result-routes", Level: Must, Source: "SPEC 5, routes", Needs: []string{"route"}, run: resultRoutes,
			Text: "returns the routes that it has created, and the kernel has each of them",
		},
		Check{
			ID: "result-mtu", Level: Practice, Source: "SPEC 5, interfaces: if applicable", Since: "1.1.0", run: resultMTU,
			Text: "returns the MTU that the interface has in the kernel",
		},
		Check{
			ID: "result-dns", Level: Should, Source: "SPEC 1, dns", Needs: []string{"dns"}, run: resultDNS,
			Text: "returns the dns of the configuration",
		},
		Check{
			ID: "result-prevresult", Level: Must, Source: "SPEC 2, ADD", Since: "1.0.0", run: resultPrev,
			Text: "returns what a prevResult of ADD has, with its own interfaces added, or refuses it",
		},
	)
}

func resultOf(t *trial, version string) {
	t.needVersion(version)
	t.version = version
	c, r := t.attach("c", t.conf())
	if r.CNIVersion != version {
		t.Fatalf("cniVersion of the result is %s", r.CNIVersion)
	}
	t.shape(r, version)
	for _, ip := range r.IPs {
		if !slices.Contains(c.Addresses("eth0"), ip.Address) {
			t.Fatalf("eth0 has not the address of the result")
		}
	}
	t.del(c, t.conf())
}

// shape fails unless a result has the sections of its version.
func (t *trial) shape(r *result, version string) {
	family := "4"
	switch {
	case len(r.IPs) == 0:
		t.Fatalf("the result has no address")
	case older(version, "0.3.0") && r.IP4 == nil && r.IP6 == nil:
		t.Fatalf("the result has no ip4 and no ip6")
	case older(version, "0.3.0"):
		return
	case r.IP4 != nil || r.IP6 != nil:
		t.Fatalf("the result has ip4 or ip6")
	case len(r.Interfaces) == 0:
		t.Fatalf("the result has no interfaces")
	}
	if r.IPs[0].Address.Addr().Is6() {
		family = "6"
	}
	if older(version, "1.0.0") && r.IPs[0].Version != family {
		t.Fatalf("ips.version is %q", r.IPs[0].Version)
	}
}

func resultKeys(t *trial) {
	for _, v := range t.supported {
		t.version = v
		c, r := t.attach("c-"+v, t.conf())
		var value any
		if err := json.Unmarshal(r.raw, &value); err != nil {
			t.Fatal(err)
		}
		if strange := strangeKeys(value, "", v); len(strange) > 0 {
			t.Fatalf("a result of version %s has %s", v, strings.Join(strange, ", "))
		}
		t.del(c, t.conf())
	}
}

// resultOnly: result decodes stdout as one JSON value, so there is nothing to add.
func resultOnly(t *trial) { t.attach("c", t.conf()) }

func resultSandbox(t *trial) {
	c, r := t.attach("c", t.conf())
	t.inside(r, c)
}

// each calls f with every interface of a result that is on the host or in the container, and its namespace.
func (t *trial) each(r *result, c *nettest.Container, f func(inter, *nettest.Netns)) {
	for _, i := range r.Interfaces {
		switch i.Sandbox {
		case "":
			f(i, t.host.Netns)
		case c.Path():
			f(i, c.Netns)
		default:
			t.Fatalf("interface %s of the result has the sandbox %s", i.Name, i.Sandbox)
		}
	}
}

func resultMAC(t *trial) {
	c, r := t.attach("c", t.conf())
	t.each(r, c, func(i inter, n *nettest.Netns) {
		if mac := t.link(n, i.Name).Attrs().HardwareAddr.String(); mac != i.Mac {
			t.Fatalf("interface %s has %s in the result, and %s in the kernel", i.Name, i.Mac, mac)
		}
	})
}

func resultExist(t *trial) {
	c, r := t.attach("c", t.conf())
	t.each(r, c, func(i inter, n *nettest.Netns) { t.link(n, i.Name) })
}

func resultAll(t *trial) {
	before := t.linkNames(t.host.Netns)
	c, r := t.attach("c", t.conf())
	for _, place := range []struct {
		n       *nettest.Netns
		sandbox string
		before  []string
	}{{t.host.Netns, "", before}, {c.Netns, c.Path(), []string{"lo"}}} {
		for _, name := range t.linkNames(place.n) {
			in := func(i inter) bool { return i.Name == name && i.Sandbox == place.sandbox }
			if !slices.Contains(place.before, name) && !slices.ContainsFunc(r.Interfaces, in) {
				t.Fatalf("interface %s is not in the result", name)
			}
		}
	}
}

func resultIndex(t *trial) {
	c, r := t.attach("c", t.conf())
	for _, ip := range r.IPs {
		if ip.Interface == nil || *ip.Interface >= uint(len(r.Interfaces)) {
			t.Fatalf("an address has no index of interfaces")
		}
		t.each(&result{Interfaces: []inter{r.Interfaces[*ip.Interface]}}, c, func(i inter, n *nettest.Netns) {
			if !slices.Contains(n.Addresses(i.Name), ip.Address) {
				t.Fatalf("interface %s has not the address that refers to it", i.Name)
			}
		})
	}
}

func resultComplete(t *trial) {
	c, r := t.attach("c", t.conf(t.variant("dualStack")))
	var said []netip.Prefix
	for _, ip := range r.IPs {
		said = append(said, ip.Address)
	}
	kernel := c.Addresses("eth0")
	slices.SortFunc(said, netip.Prefix.Compare)
	slices.SortFunc(kernel, netip.Prefix.Compare)
	if !slices.Equal(said, kernel) {
		t.Fatalf("the result has %v, the interface %v", said, kernel)
	}
	if len(said) != 2 {
		t.Fatalf("the interface has %d addresses instead of one of each family", len(said))
	}
}

func resultGateway(t *trial) {
	_, r := t.attach("c", t.conf())
	gw := t.gateway(r)
	if !r.IPs[0].Address.Contains(gw) {
		t.Fatalf("the gateway is outside of the subnet")
	}
	addrs, err := t.host.Netlink().AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IP.String() == gw.String() }) {
		t.Fatalf("the host has not the gateway's address")
	}
}

func resultRoutes(t *trial) {
	c, r := t.attach("c", t.conf(t.variant("route")))
	if !slices.ContainsFunc(r.Routes, func(r route) bool { return r.Dst == wanted() }) {
		t.Fatalf("the result has no route to %s", wanted())
	}
	for _, r := range r.Routes {
		if !t.hasRoute(c.Netns, r.Dst) {
			t.Fatalf("the container has no route to %s", r.Dst)
		}
	}
}

// wanted is the destination of the variant route.
func wanted() netip.Prefix { return netip.MustParsePrefix("198.51.100.0/24") }

func resultMTU(t *trial) {
	c, r := t.attach("c", t.conf())
	mtu := t.inside(r, c).MTU
	if mtu == nil {
		t.Fatalf("the interface has no mtu in the result")
	}
	if kernel := t.link(c.Netns, "eth0").Attrs().MTU; int(*mtu) != kernel {
		t.Fatalf("the MTU is %d in the result, and %d in the kernel", *mtu, kernel)
	}
}

func resultDNS(t *trial) {
	patch := t.variant("dns")
	_, r := t.attach("c", t.conf(patch))
	var want struct {
		DNS dns `json:"dns"`
	}
	if err := json.Unmarshal(text(patch), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.DNS, r.DNS); diff != "" {
		t.Fatalf("dns of the result differs from the configuration\n%s", diff)
	}
}

func resultPrev(t *trial) {
	c := t.host.Container("c")
	t.ip(t.host.Netns, "link add prev0 type veth peer name prev1")
	prev := conf{"cniVersion": t.version, "interfaces": []conf{{"name": "prev0", "mac": t.host.MAC("prev0")}}, "dns": conf{}}
	a := t.do(t.call("ADD", c, t.conf(conf{"prevResult": prev})))
	if a.Exit != 0 {
		t.refuses(a, "ADD")
		return
	}
	if r := t.result(a); !slices.ContainsFunc(r.Interfaces, func(i inter) bool { return i.Name == "prev0" }) {
		t.Fatalf("the result has not the interface of prevResult")
	}
}
