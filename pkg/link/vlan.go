package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// VLANs are the VLANs of a bridge port.
type VLANs struct {
	Native      int         // of frames without a tag (PVID), 1 to 4094
	Trunk       []VLANRange // of frames that pass with their tag
	KeepDefault bool        // the port also stays in the default VLAN of the bridge
}

// VLANRange is a range of VLAN IDs, both ends included.
type VLANRange struct{ First, Last int }

const maxVLAN = 4094 // IEEE 802.1Q

// vlanFlags say how a port is in a VLAN: absent, or present with flags of struct bridge_vlan_info (linux/if_bridge.h).
type vlanFlags uint16

const (
	vlanPresent  vlanFlags = nl.BRIDGE_VLAN_INFO_MASTER // meaningless to the kernel in a message about a port
	vlanPVID     vlanFlags = nl.BRIDGE_VLAN_INFO_PVID
	vlanUntagged vlanFlags = nl.BRIDGE_VLAN_INFO_UNTAGGED
)

// vlanTable has the flags of a port for every VLAN ID.
type vlanTable [maxVLAN + 1]vlanFlags

// table returns the VLANs that a port of the bridge must have. The entries are applied in the order in which the reference
// bridge adds them, so that the native VLAN wins.
func (v *VLANs) table(b *Bridge) *vlanTable {
	t := &vlanTable{}
	if v.KeepDefault && b.defaultPVID != 0 {
		t[b.defaultPVID] = vlanPresent | vlanUntagged
	}
	for _, r := range v.Trunk {
		for id := r.First; id <= min(r.Last, maxVLAN); id++ {
			t[id] = vlanPresent
		}
	}
	t[v.Native] = vlanPresent | vlanPVID | vlanUntagged
	return t
}

// readVLANs returns the VLANs of a bridge port, or those of a bridge itself. The kernel reports those of one interface
// (RTM_GETVLAN, Linux 5.6), where RTM_GETLINK of the family AF_BRIDGE would report those of every port of the host.
// Errors wrap ErrNoVLANs.
func (h *Host) readVLANs(index int) (*vlanTable, error) {
	const entry = 1 // BRIDGE_VLANDB_ENTRY, linux/if_bridge.h
	t := &vlanTable{}
	err := h.socket.execute(vlanDump(index), func(body []byte) {
		if len(body) < len(vlanHeader{}) || int(binary.NativeEndian.Uint32(body[4:])) != index {
			return
		}
		for kind, value := range nlsock.Attributes(body[len(vlanHeader{}):]) {
			if kind == entry {
				t.read(value)
			}
		}
	})
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return nil, ErrNoVLANs
	case err != nil && !errors.Is(err, netlink.ErrDumpInterrupted): // the VLANs of one port are in one message
		return nil, fmt.Errorf("list VLANs of the interface with index %d: %w", index, err)
	}
	return t, nil
}

// vlanHeader is a struct bridge_vlan_msg: family, three bytes of padding, and the index of the interface.
type vlanHeader [8]byte

// Len returns its length in bytes; with Serialize it is the first part of a request.
func (m *vlanHeader) Len() int { return len(m) }

// Serialize returns its bytes.
func (m *vlanHeader) Serialize() []byte { return m[:] }

func vlanDump(index int) *nl.NetlinkRequest {
	head := &vlanHeader{unix.AF_BRIDGE}
	binary.NativeEndian.PutUint32(head[4:], uint32(index))
	req := nl.NewNetlinkRequest(unix.RTM_GETVLAN, unix.NLM_F_DUMP)
	req.AddData(head)
	return req
}

// read reads a BRIDGE_VLANDB_ENTRY: a VLAN, or a range of VLANs with the same flags.
func (t *vlanTable) read(entry []byte) {
	const info, last = 1, 2 // BRIDGE_VLANDB_ENTRY_INFO, BRIDGE_VLANDB_ENTRY_RANGE
	var flags vlanFlags
	first, end := 0, 0
	for kind, value := range nlsock.Attributes(entry) {
		switch {
		case kind == info && len(value) == nl.SizeofBridgeVlanInfo:
			flags = vlanFlags(binary.NativeEndian.Uint16(value)) & (vlanPVID | vlanUntagged)
			first = int(binary.NativeEndian.Uint16(value[2:]))
		case kind == last && len(value) == 2:
			end = int(binary.NativeEndian.Uint16(value))
		}
	}
	for id := first; id <= min(max(first, end), maxVLAN) && id > 0; id++ {
		t[id] = vlanPresent | flags
	}
}

// setVLANs gives a bridge port exactly these VLANs: one request to read what it has, one for everything to add, and one for
// everything to remove, which of a new port is the default VLAN of the bridge. Nothing is written that is right already.
func (h *Host) setVLANs(l *Link, b *Bridge, v *VLANs) error {
	has, err := h.readVLANs(l.Index)
	if err != nil {
		return fmt.Errorf("port %s: %w", l.Name, err)
	}
	want := v.table(b)
	add := ranges(func(id int) vlanFlags {
		if has[id] == want[id] {
			return 0
		}
		return want[id]
	})
	remove := ranges(func(id int) vlanFlags {
		if want[id] != 0 {
			return 0
		}
		return has[id] & vlanPresent
	})
	err = h.changeVLANs(unix.RTM_SETLINK, l.Index, 0, add)
	if err == nil {
		err = h.changeVLANs(unix.RTM_DELLINK, l.Index, 0, remove)
	}
	if err != nil {
		return fmt.Errorf("set VLANs of port %s: %w", l.Name, err)
	}
	return nil
}

// vlanRun is a range of VLANs with the same flags.
type vlanRun struct {
	VLANRange

	flags vlanFlags
}

// ranges returns the VLANs for which the function returns flags. A PVID is always alone: the kernel refuses it in a range.
func ranges(flagsOf func(id int) vlanFlags) (runs []vlanRun) {
	for id := 1; id <= maxVLAN; id++ {
		flags := flagsOf(id)
		if flags == 0 {
			continue
		}
		if n := len(runs) - 1; n >= 0 && runs[n].Last == id-1 && runs[n].flags == flags && flags&vlanPVID == 0 {
			runs[n].Last = id
			continue
		}
		runs = append(runs, vlanRun{VLANRange{id, id}, flags})
	}
	return runs
}

// changeVLANs adds (RTM_SETLINK) or removes (RTM_DELLINK) VLANs of a port, or of a bridge itself with the flag self, in one
// message, in which a range is two attributes (BRIDGE_VLAN_INFO_RANGE_BEGIN and _END).
func (h *Host) changeVLANs(proto, index int, self uint16, runs []vlanRun) error {
	if len(runs) == 0 {
		return nil
	}
	req := nl.NewNetlinkRequest(proto, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	req.AddData(msg)
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	if self != 0 {
		spec.AddRtAttr(nl.IFLA_BRIDGE_FLAGS, nl.Uint16Attr(self))
	}
	for _, r := range runs {
		flags := uint16(r.flags &^ vlanPresent)
		if r.First == r.Last {
			spec.AddRtAttr(nl.IFLA_BRIDGE_VLAN_INFO, vlanInfo(flags, r.First))
			continue
		}
		spec.AddRtAttr(nl.IFLA_BRIDGE_VLAN_INFO, vlanInfo(flags|nl.BRIDGE_VLAN_INFO_RANGE_BEGIN, r.First))
		spec.AddRtAttr(nl.IFLA_BRIDGE_VLAN_INFO, vlanInfo(flags|nl.BRIDGE_VLAN_INFO_RANGE_END, r.Last))
	}
	req.AddData(spec)
	return h.socket.execute(req, nil)
}

// vlanInfo returns a struct bridge_vlan_info.
func vlanInfo(flags uint16, id int) []byte {
	return binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, flags), uint16(id))
}

// VLANDrift returns how the VLANs of a bridge port differ from those that it must have, one clause each.
func (h *Host) VLANDrift(l *Link, b *Bridge, v VLANs) ([]string, error) {
	if !b.VLANFiltering {
		return []string{fmt.Sprintf("bridge %s does not filter by VLAN", b.Name)}, nil
	}
	has, err := h.readVLANs(l.Index)
	if err != nil {
		return nil, err
	}
	want := v.table(b)
	differs := func(wrong func(has, want vlanFlags) bool) string {
		var texts []string
		for _, r := range ranges(func(id int) vlanFlags {
			if wrong(has[id], want[id]) {
				return vlanPresent
			}
			return 0
		}) {
			texts = append(texts, r.String())
		}
		return strings.Join(texts, ", ")
	}
	var found []string
	for _, d := range []struct {
		says  string
		wrong func(has, want vlanFlags) bool
	}{
		{"is not in VLAN", func(has, want vlanFlags) bool { return has == 0 && want != 0 }},
		{"is also in VLAN", func(has, want vlanFlags) bool { return has != 0 && want == 0 }},
		{"has another tagging in VLAN", func(has, want vlanFlags) bool { return has != 0 && want != 0 && has != want }},
	} {
		if ids := differs(d.wrong); ids != "" {
			found = append(found, fmt.Sprintf("bridge port %s %s %s", l.Name, d.says, ids))
		}
	}
	return found, nil
}

// String returns "5" or "10-20".
func (r VLANRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// hasPVID reports whether frames without a tag are accepted.
func (t *vlanTable) hasPVID() bool {
	return slices.ContainsFunc(t[:], func(f vlanFlags) bool { return f&vlanPVID != 0 })
}

// RestorePort gives a bridge port its isolation, hairpin mode if it has that, and its VLANs, and returns what it has changed, one clause each.
func (h *Host) RestorePort(l *Link, b *Bridge, flags PortFlags) (done []string, err error) {
	if l.Port != nil && l.Port.Isolated != flags.Isolated {
		if err := h.change(linkHeader{index: l.Index}, portAttr(flags)); err != nil {
			return nil, fmt.Errorf("set isolation of port %s: %w", l.Name, err)
		}
		done = append(done, fmt.Sprintf("isolation of port %s is %t", l.Name, flags.Isolated))
	}
	if l.Port != nil && flags.Hairpin && !l.Port.Hairpin {
		if err := h.SetHairpin(l); err != nil {
			return done, err
		}
		done = append(done, fmt.Sprintf("hairpin mode of port %s is on", l.Name))
	}
	if flags.VLANs == nil {
		return done, nil
	}
	drift, err := h.VLANDrift(l, b, *flags.VLANs)
	if err != nil || len(drift) == 0 {
		return done, err
	}
	return append(done, fmt.Sprintf("port %s has its VLANs", l.Name)), h.setVLANs(l, b, flags.VLANs)
}
