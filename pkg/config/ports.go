package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/ipam"
)

// MostPorts is how many ports one attachment can publish, those of ranges counted one by one.
const MostPorts = 4096

// usualMarkBit is the reference portmap's (0x2000).
const usualMarkBit = 13

// Publish is what a network asks for with published ports: the capability portMappings, and the keys
// of the reference's portmap plugin.
type Publish struct {
	Ports     []PortMapping
	SNAT      bool // those whose answers would go astray get the host's address
	MasqAll   bool // everybody who comes by a published port gets it
	MarkBit   int  // of the packet mark, 0 to 31
	Localhost bool // ports are reached by 127.0.0.1 on the host
}

// PortMapping is one item of portMappings.
type PortMapping struct {
	Protocol      string     // tcp, udp, sctp
	HostIP        netip.Addr // the zero Addr for any; 0.0.0.0 and :: for any of one family
	HostPort      uint16     // the first one
	ContainerPort uint16     // the first one
	Count         int        // how many follow each other; at least 1
}

// Wants reports whether a mapping is for addresses of a family.
func (m PortMapping) Wants(is4 bool) bool { return !m.HostIP.IsValid() || m.HostIP.Is4() == is4 }

// Specific reports whether a mapping is for one address of the host.
func (m PortMapping) Specific() bool { return m.HostIP.IsValid() && !m.HostIP.IsUnspecified() }

// String is "8080/tcp", "8080-8090/udp of 192.0.2.1".
func (m PortMapping) String() string {
	text := fmt.Sprint(m.HostPort)
	if m.Count > 1 {
		text += fmt.Sprintf("-%d", int(m.HostPort)+m.Count-1)
	}
	text += "/" + m.Protocol
	if m.HostIP.IsValid() {
		text += " of " + m.HostIP.String()
	}
	return text
}

// Policies of ingressPolicy, as the reference's firewall plugin has them.
const (
	PolicyOpen       = "open"
	PolicySameBridge = "same-bridge"
	PolicyIsolated   = "isolated"
)

// What is done about a firewall of the host that drops.
const (
	FirewallReport = "report" // it is named
	FirewallAuto   = "auto"   // and the one chain that is made for it, DOCKER-USER, gets rules
	FirewallNone   = "none"   // nothing
)

// publish reads the keys of published ports; they are checked even where none is asked for.
func (d *decoder) publish(top section) Publish {
	p := Publish{SNAT: d.flagOr(top, "snat", true), MasqAll: d.flag(top, "masqAll"), MarkBit: usualMarkBit, Localhost: d.flagOr(top, "hostLocalhost", true)}
	if bit := d.optional(top, "markMasqBit", 31); bit != nil {
		p.MarkBit = *bit
	}
	if p.MasqAll && !p.SNAT {
		d.fail(invalid("masqAll", "leave snat out, or set masqAll to false", "cannot be true where snat is false"))
	}
	// Both of the reference's are accepted, so that a conflist moves by one word.
	backend := d.text(top, "backend")
	if !slices.Contains([]string{"", "nftables", "iptables"}, backend) {
		d.fail(invalid("backend", `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`, "%q is not known", backend))
	}
	for _, key := range []string{"externalSetMarkChain", "conditionsV4", "conditionsV6"} {
		if raw, found := top.raw(key); found && !isZero(raw) {
			d.fail(&Error{
				Kind: Unsupported, Msg: key + ": " + brief(raw) + " is for iptables alone",
				Details: "leave the key out; for addresses of the host use hostIP in portMappings, for the mark markMasqBit",
			})
		}
	}
	p.Ports = d.mappings(top, p)
	return p
}

// flagOr is flag with another value for an absent key.
func (d *decoder) flagOr(s section, key string, absent bool) bool {
	if v := value[*bool](d, s, key, "true or false"); v != nil {
		return *v
	}
	return absent
}

func (d *decoder) mappings(top section, p Publish) []PortMapping {
	var all []PortMapping
	total := 0
	for _, s := range d.inners(d.inner(top, "runtimeConfig"), "portMappings") {
		m := d.mapping(s)
		d.reachable(s, m, p)
		all = append(all, m)
		total += m.Count
	}
	if total > MostPorts {
		d.fail(invalid("runtimeConfig.portMappings", fmt.Sprintf("publish at most %d ports of one container", MostPorts), "%d ports are too many", total))
	}
	if d.err == nil {
		d.overlap(all)
	}
	return all
}

func (d *decoder) mapping(s section) PortMapping {
	m := PortMapping{
		HostPort: d.port(s, "hostPort"), ContainerPort: d.port(s, "containerPort"),
		Protocol: strings.ToLower(d.text(s, "protocol")), Count: max(1, d.number(s, "range", 1, 65535)),
	}
	if m.Protocol == "" {
		m.Protocol = "tcp" // as Kubernetes and Podman mean it
	}
	if !slices.Contains([]string{"tcp", "udp", "sctp"}, m.Protocol) {
		d.fail(invalid(s.path+"protocol", `give "tcp", "udp" or "sctp"`, "%q is not known", m.Protocol))
	}
	if last := max(int(m.HostPort), int(m.ContainerPort)) + m.Count - 1; last > 65535 {
		d.fail(invalid(s.path+"range", "the last port there is is 65535", "%d ports would end at %d", m.Count, last))
	}
	text := d.text(s, "hostIP")
	if text == "" {
		return m
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.IsMulticast() {
		d.fail(invalid(s.path+"hostIP", "give an address of the host, or leave the key out for any", "%q is no address of a host", text))
	}
	m.HostIP = addr.Unmap()
	return m
}

func (d *decoder) port(s section, key string) uint16 {
	n := value[int](d, s, key, "a whole number")
	if n < 1 || n > 65535 {
		d.fail(invalid(s.path+key, "give a port from 1 to 65535", "%d is no port", n))
		return 1
	}
	return uint16(n)
}

// reachable refuses addresses of the host by which nothing could be reached.
func (d *decoder) reachable(s section, m PortMapping, p Publish) {
	switch {
	case !m.HostIP.IsLoopback():
	case m.HostIP.Is6():
		d.fail(invalid(s.path+"hostIP", "use 127.0.0.1: the kernel delivers no answer of a container to ::1", "::1 cannot be published on"))
	case !p.Localhost || !p.SNAT:
		d.fail(invalid(s.path+"hostIP", "leave hostLocalhost and snat out", "%s is not reached where hostLocalhost or snat is false", m.HostIP))
	}
}

// overlap refuses two mappings of one port: as in bind(2), one for any address is in the way of all.
func (d *decoder) overlap(all []PortMapping) {
	type port struct {
		protocol string
		number   int
	}
	seen := map[port][]PortMapping{}
	for _, m := range all {
		for i := range m.Count {
			at := port{m.Protocol, int(m.HostPort) + i}
			for _, other := range seen[at] {
				if clash(m.HostIP, other.HostIP) {
					d.fail(invalid("runtimeConfig.portMappings", "publish each port of the host once", "%s and %s have %d/%s in common", other, m, at.number, at.protocol))
					return
				}
			}
			seen[at] = append(seen[at], m)
		}
	}
}

// clash reports whether two hostIPs have an address in common.
func clash(a, b netip.Addr) bool {
	if !a.IsValid() || !b.IsValid() {
		return true
	}
	return a == b || a.Is4() == b.Is4() && (a.IsUnspecified() || b.IsUnspecified())
}

// policies reads ingressPolicy and firewall.
func (d *decoder) policies(top section, c *Config) {
	c.IngressPolicy = d.text(top, "ingressPolicy")
	if !slices.Contains([]string{"", PolicyOpen, PolicySameBridge, PolicyIsolated}, c.IngressPolicy) {
		d.fail(invalid("ingressPolicy", `give "open", "same-bridge" or "isolated"`, "%q is not known", c.IngressPolicy))
	}
	c.Firewall = d.text(top, "firewall")
	switch {
	case c.Firewall == "" && c.IngressPolicy != "":
		c.Firewall = FirewallAuto
	case c.Firewall == "":
		c.Firewall = FirewallReport
	case !slices.Contains([]string{FirewallReport, FirewallAuto, FirewallNone}, c.Firewall):
		d.fail(invalid("firewall", `give "report", "auto" or "none"`, "%q is not known", c.Firewall))
	}
	if c.IngressPolicy == "" {
		c.IngressPolicy = PolicyOpen
	}
}

// portsNeedAddresses refuses mappings that no address of the container could serve.
func (d *decoder) portsNeedAddresses(c *Config) {
	if len(c.Publish.Ports) == 0 {
		return
	}
	if c.IPAMType == "" {
		d.fail(invalid("runtimeConfig.portMappings", `give the network addresses with "ipam", or publish no ports`, "network %s has no addresses that ports could lead to", c.Name))
		return
	}
	if c.IPAM == nil {
		return // what another IPAM gives is known when it has
	}
	for i, m := range c.Publish.Ports {
		serves := slices.ContainsFunc(c.IPAM.Pool.Sets, func(set ipam.Set) bool { return m.Wants(set.Is4()) })
		if !serves {
			d.fail(invalid(fmt.Sprintf("runtimeConfig.portMappings[%d].hostIP", i), "give an address of a family that the network has, or a range of that family to ipam", "%s is of a family that network %s has no addresses of", m.HostIP, c.Name))
		}
	}
}
