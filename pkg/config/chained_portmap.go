package config

import (
	"maps"
	"slices"
)

// ParsePortmap decodes and checks a configuration of the plugin portmap. Every error is an *Error.
func ParsePortmap(data []byte) (*Chained, error) { return parseChained(data, (*decoder).portmap) }

// portmap decodes the keys of portmap. They are those that the main plugin has for published ports, and two that select a chain or rules
// of iptables.
func (d *decoder) portmap(top section, c *Chained) {
	chain, found := top.raw("externalSetMarkChain")
	if found && !isZero(chain) {
		c.Warnings = append(c.Warnings, "externalSetMarkChain: "+brief(chain)+" is a chain of iptables, which is not used; markMasqBit is the mark of packets to masquerade")
	}
	if _, bit := top.raw("markMasqBit"); bit && found {
		d.fail(invalid("externalSetMarkChain", "leave out one of the two keys", "cannot be set together with markMasqBit"))
	}
	whole := &Config{Ident: c.Ident, Publish: d.publish(top.without("externalSetMarkChain"))}
	whole.IPAMType = "prevResult" // the addresses are known later, as with a delegated IPAM plugin
	d.checkPorts(whole)
	c.Publish = whole.Publish
}

// without returns a section without one key.
func (s section) without(key string) section {
	out := section{path: s.path, fields: s.fields}
	if _, found := s.fields[key]; found {
		out.fields = maps.Clone(s.fields)
		delete(out.fields, key)
	}
	return out
}

// ParseFirewall decodes and checks a configuration of the plugin firewall. Every error is an *Error.
func ParseFirewall(data []byte) (*Chained, error) { return parseChained(data, (*decoder).firewall) }

// firewall decodes the keys of firewall. Patchbay has no chains of iptables and no zone of firewalld: what its own table does is the
// policy, and "firewall" is what to do about the chains of docker. Without that key it is "auto": a list with this plugin asks for
// rules that let packets of containers pass.
func (d *decoder) firewall(top section, c *Chained) {
	whole := &Config{}
	d.policies(top, whole)
	c.IngressPolicy, c.Firewall = whole.IngressPolicy, whole.Firewall
	if d.text(top, "firewall") == "" {
		c.Firewall = FirewallAuto
	}
	if backend := d.text(top, "backend"); !slices.Contains([]string{"", "iptables", "firewalld", "nftables"}, backend) {
		c.Warnings = append(c.Warnings, "backend: "+backend+" is not known; Patchbay uses nftables")
	}
	for key, why := range map[string]string{
		"iptablesAdminChainName": "is a chain of iptables, which is not used",
		"firewalldZone":          "is not changed; add the bridge to a zone of firewalld instead (docs/isolation.md)",
	} {
		if name := d.text(top, key); name != "" && name != "trusted" {
			c.Warnings = append(c.Warnings, key+": "+name+" "+why)
		}
	}
	slices.Sort(c.Warnings)
}
