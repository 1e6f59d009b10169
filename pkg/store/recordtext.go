package store

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// text returns the record as json.MarshalIndent(r, "", "  ") would. encoding/json
// first analyses every type by reflection. It caches the result, but a process
// writes one record only, so that was 0.1 to 0.2 ms of each ADD. Records are still
// decoded by encoding/json. TestRecordText compares the two field by field.
// The error is that of a time that JSON cannot represent.
func (r *Record) text() ([]byte, error) {
	created, err := r.Created.MarshalText()
	if err != nil {
		return nil, err
	}
	w := &recordWriter{text: make([]byte, 0, 2048)}
	w.object(func() {
		r.writeIdentity(w, string(created))
		r.writeKernel(w)
		r.writeAddresses(w)
		r.writeRules(w)
	})
	return w.text, nil
}

// writeIdentity writes what identifies the attachment. These members are always
// present. The order of all members is that of the fields of Record.
func (r *Record) writeIdentity(w *recordWriter, created string) {
	w.member("version", func() { w.number(int64(r.Version)) })
	w.member("network", func() { w.string(r.Network) })
	w.member("containerID", func() { w.string(r.ContainerID) })
	w.member("ifname", func() { w.string(r.IfName) })
	w.member("owner", func() { w.string(r.Owner) })
	w.member("role", func() { w.string(r.Role) })
	w.member("created", func() { w.string(created) })
	w.member("bootID", func() { w.string(r.BootID) })
}

// writeKernel writes which namespaces and interfaces it has.
func (r *Record) writeKernel(w *recordWriter) {
	w.uintIfSet("hostCookie", r.HostCookie)
	w.uintIfSet("hostInode", r.HostInode)
	w.stringIfSet("netns", r.Netns)
	w.uintIfSet("netnsCookie", r.NetnsCookie)
	w.uintIfSet("netnsInode", r.NetnsInode)
	w.boolIfSet("netnsMade", r.NetnsMade)
	w.stringIfSet("bridge", r.Bridge)
	w.stringIfSet("bridgeMAC", r.BridgeMAC)
	w.stringIfSet("hostLink", r.HostLink)
	w.intIfSet("hostIndex", r.HostIndex)
	w.stringIfSet("alias", r.Alias)
	w.stringIfSet("mac", r.MAC)
}

// writeAddresses writes addresses, routes and where the addresses come from. Planned
// is "omitzero": an empty list is written, nil is not.
func (r *Record) writeAddresses(w *recordWriter) {
	if len(r.Addresses) > 0 {
		writeList(w, "addresses", r.Addresses, func(a Address) { w.object(func() { a.write(w) }) })
	}
	if len(r.HostRoutes) > 0 {
		writeList(w, "hostRoutes", r.HostRoutes, w.addr)
	}
	if len(r.Routes) > 0 {
		writeList(w, "routes", r.Routes, func(r Route) { w.object(func() { r.write(w) }) })
	}
	if r.Planned != nil {
		writeList(w, "planned", r.Planned, func(r Route) { w.object(func() { r.write(w) }) })
	}
	w.stringIfSet("dataDir", r.DataDir)
	w.stringIfSet("ipamType", r.IPAMType)
	w.stringIfSet("ipam", r.IPAM)
}

// writeRules writes the elements of the ruleset, the options of the bridge port and
// the pod.
func (r *Record) writeRules(w *recordWriter) {
	if r.Masquerade != nil {
		w.member("masquerade", func() { w.object(func() { r.Masquerade.write(w) }) })
	}
	if r.Publish != nil {
		w.member("publish", func() { w.object(func() { r.Publish.write(w) }) })
	}
	w.stringIfSet("policy", r.Policy)
	if r.Egress != nil {
		w.member("egress", func() { w.object(func() { r.Egress.write(w) }) })
	}
	if r.SpoofCheck != nil {
		w.member("spoofCheck", func() {
			w.object(func() {
				w.stringIfSet("mac", r.SpoofCheck.MAC)
				w.boolIfSet("full", r.SpoofCheck.Full)
			})
		})
	}
	w.boolIfSet("hairpin", r.Hairpin)
	w.boolIfSet("stpGuard", r.STPGuard)
	w.boolIfSet("portIsolation", r.PortIsolation)
	if r.VLANs != nil {
		w.member("vlans", func() { w.object(func() { r.VLANs.write(w) }) })
	}
	if r.Bandwidth != nil {
		w.member("bandwidth", func() { w.object(func() { r.Bandwidth.write(w) }) })
	}
	w.boolIfSet("gateway", r.Gateway)
	w.stringIfSet("segment", r.Segment)
	r.writeContainer(w)
	if r.Pod != nil {
		w.member("pod", func() { w.object(func() { r.Pod.write(w) }) })
	}
	if len(r.Parts) > 0 {
		writeList(w, "parts", r.Parts, w.string)
	}
}

// write writes the members of an address.
func (a Address) write(w *recordWriter) {
	w.member("address", func() { w.prefix(a.Address) })
	w.addrIfSet("gateway", a.Gateway)
	w.addrIfSet("bridgeGateway", a.BridgeGateway)
}

// write writes the members of a route.
func (r Route) write(w *recordWriter) {
	w.member("dst", func() { w.prefix(r.Dst) })
	w.addrIfSet("gw", r.GW)
	w.intIfSet("priority", r.Priority)
	w.intIfSet("table", r.Table)
}

// write writes the members of the masquerade options.
func (m *Masquerade) write(w *recordWriter) {
	writeList(w, "addresses", m.Addresses, w.prefix)
	if len(m.Exclude) > 0 {
		writeList(w, "exclude", m.Exclude, w.prefix)
	}
	w.boolIfSet("randomFully", m.RandomFully)
	w.addrIfSet("outbound4", m.Outbound4)
	w.addrIfSet("outbound6", m.Outbound6)
}

// write writes the destinations of the connections that an attachment may open.
func (e *Egress) write(w *recordWriter) {
	writeList(w, "allow", e.Allow, w.prefix)
	if len(e.DNS) > 0 {
		writeList(w, "dns", e.DNS, w.addr)
	}
	w.boolIfSet("dhcp", e.DHCP)
}

// write writes the published ports and their options.
func (p *Publish) write(w *recordWriter) {
	writeList(w, "ports", p.Ports, func(port Port) { w.object(func() { port.write(w) }) })
	w.boolIfSet("plain", p.Plain)
	w.boolIfSet("all", p.All)
	w.member("markBit", func() { w.number(int64(p.MarkBit)) })
	w.boolIfSet("localhost", p.Localhost)
}

// write writes the members of a port mapping.
func (p Port) write(w *recordWriter) {
	w.member("protocol", func() { w.string(p.Protocol) })
	w.addrIfSet("hostIP", p.HostIP)
	w.member("hostPort", func() { w.number(int64(p.HostPort)) })
	w.intIfSet("count", p.Count)
	w.member("container", func() { w.addr(p.Container) })
	w.member("containerPort", func() { w.number(int64(p.ContainerPort)) })
}

// write writes the members of a pod.
func (p *Pod) write(w *recordWriter) {
	w.member("namespace", func() { w.string(p.Namespace) })
	w.member("name", func() { w.string(p.Name) })
	w.stringIfSet("uid", p.UID)
}

// recordWriter writes JSON with an indent of two spaces.
type recordWriter struct {
	text  []byte
	depth int
	more  bool // the current object or list has a member, so the next one needs a comma
}

// object writes an object with the members that the function writes.
func (w *recordWriter) object(members func()) { w.within('{', '}', members) }

// within writes an object or a list. An empty one stays on one line, as with
// encoding/json.
func (w *recordWriter) within(begin, end byte, members func()) {
	w.text = append(w.text, begin)
	w.depth++
	w.more = false
	members()
	w.depth--
	if w.more {
		w.line()
	}
	w.text = append(w.text, end)
	w.more = true
}

// line begins an indented line.
func (w *recordWriter) line() {
	w.text = append(w.text, '\n')
	for range w.depth {
		w.text = append(w.text, "  "...)
	}
}

// next begins a member or an element.
func (w *recordWriter) next() {
	if w.more {
		w.text = append(w.text, ',')
	}
	w.line()
	w.more = true
}

// member writes one member of an object.
func (w *recordWriter) member(name string, value func()) {
	w.next()
	w.text = append(append(append(w.text, '"'), name...), `": `...)
	value()
}

// writeList writes a list member; nil becomes null.
func writeList[T any](w *recordWriter, name string, all []T, write func(T)) {
	w.member(name, func() {
		if all == nil {
			w.text = append(w.text, "null"...)
			return
		}
		w.within('[', ']', func() {
			for _, element := range all {
				w.next()
				write(element)
			}
		})
	})
}

// string writes a string. encoding/json quotes one that needs escapes: it also
// escapes <, > and &, and replaces invalid UTF-8.
func (w *recordWriter) string(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string has no error
			w.text = append(w.text, quoted...)
			return
		}
	}
	w.text = append(append(append(w.text, '"'), s...), '"')
}

// number writes an integer.
func (w *recordWriter) number(n int64) { w.text = strconv.AppendInt(w.text, n, 10) }

// uint writes an integer that may exceed the range of int64.
func (w *recordWriter) uint(n uint64) { w.text = strconv.AppendUint(w.text, n, 10) }

// addr writes an address as a string; "" if it is not set.
func (w *recordWriter) addr(a netip.Addr) {
	text, _ := a.MarshalText() // an address has no error
	w.string(string(text))
}

// prefix writes a prefix as a string; "" if it is not set.
func (w *recordWriter) prefix(p netip.Prefix) {
	text, _ := p.MarshalText()
	w.string(string(text))
}

// stringIfSet writes a member that is "omitempty", as do the functions below.
func (w *recordWriter) stringIfSet(name, value string) {
	if value != "" {
		w.member(name, func() { w.string(value) })
	}
}

// uintIfSet writes a cookie or inode number.
func (w *recordWriter) uintIfSet(name string, value uint64) {
	if value != 0 {
		w.member(name, func() { w.uint(value) })
	}
}

// intIfSet writes an index, count, priority or table.
func (w *recordWriter) intIfSet(name string, value int) {
	if value != 0 {
		w.member(name, func() { w.number(int64(value)) })
	}
}

// addrIfSet writes a member that is "omitzero": omitempty has no effect on a struct.
func (w *recordWriter) addrIfSet(name string, value netip.Addr) {
	if value != (netip.Addr{}) {
		w.member(name, func() { w.addr(value) })
	}
}

// boolIfSet writes true.
func (w *recordWriter) boolIfSet(name string, value bool) {
	if value {
		w.member(name, func() { w.text = append(w.text, "true"...) })
	}
}
