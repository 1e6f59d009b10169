package store

import (
	"github.com/patchbay-cni/patchbay/pkg/jsonwriter"
)

// text returns the record as json.MarshalIndent(r, "", "  ") would, without its
// reflection (see package jsonwriter). Records are still decoded by encoding/json. TestRecordText compares the two field by field.
// The error is that of a time that JSON cannot represent.
func (r *Record) text() ([]byte, error) {
	created, err := r.Created.MarshalText()
	if err != nil {
		return nil, err
	}
	w := jsonwriter.New("  ")
	w.Object(func() {
		r.writeIdentity(w, string(created))
		r.writeKernel(w)
		r.writeAddresses(w)
		r.writeRules(w)
	})
	return w.Text(), nil
}

// writeIdentity writes what identifies the attachment. These members are always
// present. The order of all members is that of the fields of Record.
func (r *Record) writeIdentity(w *jsonwriter.Writer, created string) {
	w.Member("version", func() { w.Number(int64(r.Version)) })
	w.Member("network", func() { w.String(r.Network) })
	w.Member("containerID", func() { w.String(r.ContainerID) })
	w.Member("ifname", func() { w.String(r.IfName) })
	w.Member("owner", func() { w.String(r.Owner) })
	w.Member("role", func() { w.String(r.Role) })
	w.Member("created", func() { w.String(created) })
	w.Member("bootID", func() { w.String(r.BootID) })
}

// writeKernel writes which namespaces and interfaces it has.
func (r *Record) writeKernel(w *jsonwriter.Writer) {
	w.UintIfSet("hostCookie", r.HostCookie)
	w.UintIfSet("hostInode", r.HostInode)
	w.StringIfSet("netns", r.Netns)
	w.UintIfSet("netnsCookie", r.NetnsCookie)
	w.UintIfSet("netnsInode", r.NetnsInode)
	w.BoolIfSet("netnsMade", r.NetnsMade)
	w.StringIfSet("bridge", r.Bridge)
	w.StringIfSet("bridgeMAC", r.BridgeMAC)
	w.StringIfSet("hostLink", r.HostLink)
	w.IntIfSet("hostIndex", r.HostIndex)
	w.StringIfSet("alias", r.Alias)
	w.StringIfSet("mac", r.MAC)
}

// writeAddresses writes addresses, routes and where the addresses come from. Planned
// is "omitzero": an empty list is written, nil is not.
func (r *Record) writeAddresses(w *jsonwriter.Writer) {
	if len(r.Addresses) > 0 {
		jsonwriter.List(w, "addresses", r.Addresses, func(a Address) { w.Object(func() { a.write(w) }) })
	}
	if len(r.HostRoutes) > 0 {
		jsonwriter.List(w, "hostRoutes", r.HostRoutes, w.Addr)
	}
	if len(r.Routes) > 0 {
		jsonwriter.List(w, "routes", r.Routes, func(r Route) { w.Object(func() { r.write(w) }) })
	}
	if r.Planned != nil {
		jsonwriter.List(w, "planned", r.Planned, func(r Route) { w.Object(func() { r.write(w) }) })
	}
	w.StringIfSet("dataDir", r.DataDir)
	w.StringIfSet("ipamType", r.IPAMType)
	w.StringIfSet("ipam", r.IPAM)
}

// writeRules writes the elements of the ruleset, the options of the bridge port and
// the pod.
func (r *Record) writeRules(w *jsonwriter.Writer) {
	if r.Masquerade != nil {
		w.Member("masquerade", func() { w.Object(func() { r.Masquerade.write(w) }) })
	}
	if r.Publish != nil {
		w.Member("publish", func() { w.Object(func() { r.Publish.write(w) }) })
	}
	w.StringIfSet("policy", r.Policy)
	w.BoolIfSet("firewallAuto", r.FirewallAuto)
	if r.Egress != nil {
		w.Member("egress", func() { w.Object(func() { r.Egress.write(w) }) })
	}
	if r.SpoofCheck != nil {
		w.Member("spoofCheck", func() {
			w.Object(func() {
				w.StringIfSet("mac", r.SpoofCheck.MAC)
				w.BoolIfSet("full", r.SpoofCheck.Full)
			})
		})
	}
	w.BoolIfSet("hairpin", r.Hairpin)
	w.BoolIfSet("stpGuard", r.STPGuard)
	w.BoolIfSet("portIsolation", r.PortIsolation)
	if r.VLANs != nil {
		w.Member("vlans", func() { w.Object(func() { r.VLANs.write(w) }) })
	}
	if r.Bandwidth != nil {
		w.Member("bandwidth", func() { w.Object(func() { r.Bandwidth.write(w) }) })
	}
	w.BoolIfSet("gateway", r.Gateway)
	w.StringIfSet("segment", r.Segment)
	if r.Tap != nil {
		w.Member("tap", func() { w.Object(func() { r.Tap.write(w) }) })
	}
	r.writeContainer(w)
	if r.Pod != nil {
		w.Member("pod", func() { w.Object(func() { r.Pod.write(w) }) })
	}
	if len(r.Parts) > 0 {
		jsonwriter.List(w, "parts", r.Parts, w.String)
	}
}

// write writes the members of an address.
func (a Address) write(w *jsonwriter.Writer) {
	w.Member("address", func() { w.Prefix(a.Address) })
	w.AddrIfSet("gateway", a.Gateway)
	w.AddrIfSet("bridgeGateway", a.BridgeGateway)
}

// write writes the members of a route.
func (r Route) write(w *jsonwriter.Writer) {
	w.Member("dst", func() { w.Prefix(r.Dst) })
	w.AddrIfSet("gw", r.GW)
	w.IntIfSet("priority", r.Priority)
	w.IntIfSet("table", r.Table)
}

// write writes the members of the masquerade options.
func (m *Masquerade) write(w *jsonwriter.Writer) {
	jsonwriter.List(w, "addresses", m.Addresses, w.Prefix)
	if len(m.Exclude) > 0 {
		jsonwriter.List(w, "exclude", m.Exclude, w.Prefix)
	}
	w.BoolIfSet("randomFully", m.RandomFully)
	w.AddrIfSet("outbound4", m.Outbound4)
	w.AddrIfSet("outbound6", m.Outbound6)
}

// write writes the destinations of the connections that an attachment may open.
func (e *Egress) write(w *jsonwriter.Writer) {
	jsonwriter.List(w, "allow", e.Allow, w.Prefix)
	if len(e.DNS) > 0 {
		jsonwriter.List(w, "dns", e.DNS, w.Addr)
	}
	w.BoolIfSet("dhcp", e.DHCP)
}

// write writes the published ports and their options.
func (p *Publish) write(w *jsonwriter.Writer) {
	jsonwriter.List(w, "ports", p.Ports, func(port Port) { w.Object(func() { port.write(w) }) })
	w.BoolIfSet("plain", p.Plain)
	w.BoolIfSet("all", p.All)
	w.Member("markBit", func() { w.Number(int64(p.MarkBit)) })
	w.BoolIfSet("localhost", p.Localhost)
}

// write writes the members of a port mapping.
func (p Port) write(w *jsonwriter.Writer) {
	w.Member("protocol", func() { w.String(p.Protocol) })
	w.AddrIfSet("hostIP", p.HostIP)
	w.Member("hostPort", func() { w.Number(int64(p.HostPort)) })
	w.IntIfSet("count", p.Count)
	w.Member("container", func() { w.Addr(p.Container) })
	w.Member("containerPort", func() { w.Number(int64(p.ContainerPort)) })
}

// write writes the members of a pod.
func (p *Pod) write(w *jsonwriter.Writer) {
	w.Member("namespace", func() { w.String(p.Namespace) })
	w.Member("name", func() { w.String(p.Name) })
	w.StringIfSet("uid", p.UID)
}
