package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// MostPorts is the maximum number of ports of one attachment, with each port of a
// range counted.
const MostPorts = 4096

// defaultMarkBit is that of the reference portmap, 0x2000.
const defaultMarkBit = 13

// Publish is the capability portMappings, and the keys of the reference portmap plugin.
type Publish struct {
	Ports     []PortMapping   // port mappings to publish; each host port once
	Unused    []UnusedMapping // mappings that are not published, or that another one covers
	SNAT      bool            // masquerade connections whose replies would otherwise bypass the host
	MasqAll   bool            // masquerade all connections to published ports
	MarkBit   int             // packet mark bit that identifies packets to masquerade, 0 to 31
	Localhost bool            // publish ports on 127.0.0.1 of the host too
}

// PortMapping is an entry of portMappings.
type PortMapping struct {
	Protocol      string     // tcp, udp, sctp
	HostIP        netip.Addr // the zero Addr for all addresses; 0.0.0.0 or :: for all of one family
	HostPort      uint16     // first host port; 0 if it is not published
	ContainerPort uint16     // first container port
	Count         int        // number of consecutive ports, at least 1
}

// Wants reports whether a mapping applies to addresses of a family.
func (m PortMapping) Wants(is4 bool) bool { return !m.HostIP.IsValid() || m.HostIP.Is4() == is4 }

// Specific reports whether a mapping applies to a single host address.
func (m PortMapping) Specific() bool { return m.HostIP.IsValid() && !m.HostIP.IsUnspecified() }

// String returns a text such as "8080/tcp" or "8080-8090/udp of 192.0.2.1".
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

// Values of ingressPolicy. PolicyPublished is not one of the reference firewall plugin.
const (
	PolicyOpen       = "open"
	PolicySameBridge = "same-bridge"
	PolicyIsolated   = "isolated"
	PolicyPublished  = "published"
)

// Values of the key firewall: what to do about a host firewall that drops packets of
// containers.
const (
	FirewallReport = "report" // doctor reports it
	FirewallAuto   = "auto"   // also add two rules to DOCKER-USER, the chain that Docker provides for it
	FirewallNone   = "none"   // ignore it
)

// publish decodes the keys of published ports. They are checked also without mappings.
func (d *decoder) publish(top section) Publish {
	p := Publish{SNAT: d.flagOr(top, "snat", true), MasqAll: d.flag(top, "masqAll"), MarkBit: defaultMarkBit, Localhost: d.flagOr(top, "hostLocalhost", true)}
	if bit := d.optional(top, "markMasqBit", 31); bit != nil {
		p.MarkBit = *bit
	}
	if p.MasqAll && !p.SNAT {
		d.fail(invalid("masqAll", "leave snat out, or set masqAll to false", "cannot be true where snat is false"))
	}
	// Accept both backends of the reference plugin, so that its conflist can be used unchanged.
	backend := d.text(top, "backend")
	if !slices.Contains([]string{"", "nftables", "iptables"}, backend) {
		d.fail(invalid("backend", `give "nftables" or "iptables", or leave the key out; Patchbay uses nftables`, "%q is not known", backend))
	}
	for _, key := range []string{"externalSetMarkChain", "conditionsV4", "conditionsV6"} {
		if raw, found := top.raw(key); found && !isZero(raw) {
			d.fail(&Error{
				Kind: Unsupported, Msg: key + ": " + brief(raw) + " applies to iptables only",
				Details: "leave the key out; for addresses of the host use hostIP in portMappings, for the mark markMasqBit",
			})
		}
	}
	p.Ports = d.mappings(top)
	return p
}

// flagOr decodes a boolean; absent is its value if the key is absent.
func (d *decoder) flagOr(s section, key string, absent bool) bool {
	if v := value[*bool](d, s, key, "true or false"); v != nil {
		return *v
	}
	return absent
}

// mappings decodes runtimeConfig.portMappings.
func (d *decoder) mappings(top section) []PortMapping {
	var all []PortMapping
	total := 0
	for _, s := range d.inners(d.inner(top, "runtimeConfig"), "portMappings", MostPorts) {
		m := d.mapping(s)
		all = append(all, m)
		total += m.Count
	}
	if total > MostPorts {
		d.fail(invalid("runtimeConfig.portMappings", fmt.Sprintf("publish at most %d ports of one container", MostPorts), "%d ports are too many", total))
	}
	return all
}

// mapping decodes an entry of portMappings.
func (d *decoder) mapping(s section) PortMapping {
	m := PortMapping{
		HostPort: d.port(s, "hostPort", 0), ContainerPort: d.port(s, "containerPort", 1),
		Protocol: strings.ToLower(d.text(s, "protocol")), Count: max(1, d.number(s, "range", 1, 65535)),
	}
	if m.Protocol == "" {
		m.Protocol = "tcp" // the default of Kubernetes and Podman
	}
	if !slices.Contains([]string{"tcp", "udp", "sctp"}, m.Protocol) {
		d.fail(invalid(s.path+"protocol", `give "tcp", "udp" or "sctp"`, "%q is not known", m.Protocol))
	}
	if last := max(int(m.HostPort), int(m.ContainerPort)) + m.Count - 1; last > 65535 {
		d.fail(invalid(s.path+"range", "the highest port is 65535", "%d ports would end at %d", m.Count, last))
	}
	text := d.text(s, "hostIP")
	if text == "" {
		return m
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.IsMulticast() {
		d.fail(invalid(s.path+"hostIP", "give an address of the host, or leave the key out for any", "%q is not an address of a host", text))
	}
	m.HostIP = addr.Unmap()
	return m
}

// port decodes a port from low to 65535.
func (d *decoder) port(s section, key string, low int) uint16 {
	n := value[int](d, s, key, "a whole number")
	if n < low || n > 65535 {
		d.fail(invalid(s.path+key, "give a port from 1 to 65535", "%d is not a port", n))
		return 1
	}
	return uint16(n)
}

// policies decodes ingressPolicy and firewall.
func (d *decoder) policies(top section, c *Config) {
	c.IngressPolicy = d.text(top, "ingressPolicy")
	if !slices.Contains([]string{"", PolicyOpen, PolicySameBridge, PolicyIsolated, PolicyPublished}, c.IngressPolicy) {
		d.fail(invalid("ingressPolicy", `give "open", "same-bridge", "isolated" or "published"`, "%q is not known", c.IngressPolicy))
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
