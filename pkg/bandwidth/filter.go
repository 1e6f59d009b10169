package bandwidth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// filter is a u32 filter: packets of a protocol whose header has a value at an offset are redirected to a device, or put into a class.
type filter struct {
	priority uint16
	protocol uint16 // ETH_P_*
	keys     []key
	class    uint32 // handle of the class; 0 with redirect
	redirect int    // index of the device; 0 for none
}

// key is struct tc_u32_key: the 32 bits at an offset from the network header, as the packet has them, compared under a mask.
type key struct {
	mask, value [4]byte
	offset      uint32
}

// Priorities of the filters. Lower ones are tried first; all filters of one priority are of one protocol.
//
// They are not the first ones: a program that shares the qdisc of an interface that another plugin made can stand before us.
const (
	priority4   = 0x5042 + iota // filters on IPv4 subnets
	priority6                   // filters on IPv6 subnets
	priorityAll                 // the filter on all frames
)

// Attributes and numbers of u32 and mirred (linux/pkt_cls.h, linux/tc_act/tc_mirred.h).
const (
	u32Class, u32Selector, u32Action       = 1, 5, 7
	actionKind, actionOptions              = 1, 2
	mirredParms, redirectEgress            = 2, 1
	actionStolen                           = 4 // TC_ACT_STOLEN: the packet continues at the device
	selectorSize, selectorKeys             = 16, 16
	terminal                         uint8 = 1 // TC_U32_TERMINAL
)

// side says which address of a packet is the remote one.
type side int

const (
	source      side = iota // of packets to the container
	destination             // of packets from the container
)

// subnetFilter returns a filter on a remote subnet. It compares whole words of the address; a prefix of length 0 has one key that
// every packet of the family matches.
func subnetFilter(p netip.Prefix, at side) filter {
	f := filter{priority: priority4, protocol: unix.ETH_P_IP}
	offset := uint32(12 + 4*int(at)) // of struct iphdr: saddr, daddr
	if p.Addr().Is6() {
		f.priority, f.protocol = priority6, unix.ETH_P_IPV6
		offset = uint32(8 + 16*int(at)) // of struct ipv6hdr
	}
	addr := p.Masked().Addr().AsSlice()
	for word := 0; word == 0 || 32*word < p.Bits(); word++ {
		k := key{offset: offset + uint32(4*word)}
		bits := min(32, p.Bits()-32*word)
		binary.BigEndian.PutUint32(k.mask[:], uint32(uint64(0xFFFFFFFF)<<(32-bits)))
		copy(k.value[:], addr[4*word:])
		f.keys = append(f.keys, k)
	}
	return f
}

// all returns a filter that matches every frame.
func all() filter {
	return filter{priority: priorityAll, protocol: unix.ETH_P_ALL, keys: []key{{}}}
}

// filtersFor returns the filters for one direction. limited gives the filter of limited traffic its target, passed that of the rest.
//
// If subnets are shaped, packets that match no filter pass. If subnets are unshaped, their filters come first, and end the search.
func (s Spec) filtersFor(at side, limited, passed func(*filter)) (out []filter) {
	target, subnets := limited, s.Shaped
	if len(s.Unshaped) > 0 {
		target, subnets = passed, s.Unshaped
	}
	for _, p := range subnets {
		f := subnetFilter(p, at)
		target(&f)
		out = append(out, f)
	}
	if len(s.Shaped) == 0 {
		f := all()
		limited(&f)
		out = append(out, f)
	}
	return out
}

// header identifies the filter in a message.
func (f filter) header(index int, parent uint32) tcHeader {
	network := f.protocol<<8 | f.protocol>>8 // the kernel's field has network byte order
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		network = f.protocol
	}
	return tcHeader{index: index, parent: parent, info: uint32(f.priority)<<16 | uint32(network)}
}

// add adds the filter. The kernel creates the hash table of a priority with its first filter, and numbers the filters.
func (c conn) addFilter(index int, parent uint32, f filter) error {
	var options attributes
	selector := make([]byte, selectorSize, selectorSize+selectorKeys*len(f.keys))
	selector[0], selector[2] = terminal, uint8(len(f.keys))
	for _, k := range f.keys {
		selector = append(append(selector, k.mask[:]...), k.value[:]...)
		selector = append(selector, words(k.offset, 0)...)
	}
	if f.class != 0 {
		options.uint32(u32Class, f.class)
	}
	options.add(u32Selector, selector)
	if f.redirect != 0 {
		options.add(u32Action, redirectAction(f.redirect))
	}
	return c.do(tcRequest(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL, f.header(index, parent), tcBody{kind: "u32", options: options}))
}

// redirectAction returns the action mirred: the packet leaves the interface and enters the transmit queue of the device.
func redirectAction(device int) []byte {
	var parms, action, list attributes
	parms.add(mirredParms, words(0, 0, actionStolen, 0, 0, redirectEgress, uint32(device)))
	action.text(actionKind, "mirred")
	action.add(actionOptions, parms)
	list.add(1, action)
	return list
}

// readFilters returns the filters of this package below a parent, in the order in which the kernel tries them.
func (c conn) readFilters(index int, parent uint32) (out []filter, err error) {
	objects, err := c.filters(tcHeader{index: index, parent: parent})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // there is no such qdisc
		return nil, nil
	}
	for _, o := range objects {
		if f, ok := parseFilter(o); ok {
			out = append(out, f)
		}
	}
	return out, err
}

func parseFilter(o tcObject) (f filter, ok bool) {
	priority := o.info >> 16
	selector := nlsock.Attribute(o.options, u32Selector)
	if o.kind != "u32" || priority < priority4 || priority > priorityAll || len(selector) < selectorSize {
		return f, false // of another program, or a hash table
	}
	protocol := binary.NativeEndian.AppendUint16(nil, uint16(o.info))
	f = filter{priority: uint16(priority), protocol: binary.BigEndian.Uint16(protocol), class: word(nlsock.Attribute(o.options, u32Class), 0)}
	for keys := selector[selectorSize:]; len(keys) >= selectorKeys; keys = keys[selectorKeys:] {
		f.keys = append(f.keys, key{mask: [4]byte(keys), value: [4]byte(keys[4:]), offset: word(keys, 2)})
	}
	for _, action := range actions(o.options) {
		parms := nlsock.Attribute(nlsock.Attribute(action, actionOptions), mirredParms)
		f.redirect = int(word(parms, 6))
	}
	return f, true
}

// actions returns the actions of a filter.
func actions(options []byte) (out [][]byte) {
	if first := nlsock.Attribute(nlsock.Attribute(options, u32Action), 1); first != nil {
		out = append(out, first)
	}
	return out
}

// sameFilters compares filters without regard to order: the kernel sorts those of one priority.
func sameFilters(a, b []filter) bool {
	text := func(list []filter) (out []string) {
		for _, f := range list {
			out = append(out, fmt.Sprint(f))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(text(a), text(b))
}

// deleteFilters deletes the filters of this package below a parent, one priority at a time.
func (c conn) deleteFilters(index int, parent uint32) error {
	found, err := c.readFilters(index, parent)
	if err != nil {
		return err
	}
	done := map[uint16]bool{}
	for _, f := range found {
		if done[f.priority] {
			continue
		}
		done[f.priority] = true
		err := c.do(tcRequest(unix.RTM_DELTFILTER, 0, f.header(index, parent), tcBody{}))
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}
