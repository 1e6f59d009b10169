package bandwidth

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Attributes of IFLA_AF_SPEC and its kinds (linux/if_link.h).
const (
	inet6AddrGenMode = 8 // IFLA_INET6_ADDR_GEN_MODE
	genModeNone      = 1 // IN6_ADDR_GEN_MODE_NONE
	skipStatistics   = 1 << 3
)

// device is an interface as the kernel reports it.
type device struct {
	index       int
	kind, alias string
	up          bool
}

// ours reports whether a device is the ifb of the attachment: one without an alias is, because a process can be killed between the two
// messages that create it.
func (d device) ours(mark string) bool {
	return d.kind == "ifb" && (d.alias == "" || mark != "" && strings.HasPrefix(d.alias, mark))
}

// linkHeader is struct ifinfomsg: the index of the interface, 0 if an attribute names it, and the flags to set.
type linkHeader struct {
	index int
	set   uint32
}

// linkRequest returns a message about an interface.
func linkRequest(kind, flags uint16, h linkHeader, a attributes) nlsock.Message {
	return nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | flags, Data: append(words(unix.AF_UNSPEC, uint32(h.index), h.set, h.set), a...)}
}

// device looks up an interface by name; ok is false if there is none.
func (c conn) device(name string) (d device, ok bool, err error) {
	var a attributes
	a.text(unix.IFLA_IFNAME, name)
	a.uint32(unix.IFLA_EXT_MASK, skipStatistics)
	for m, err := range c.Execute(linkRequest(unix.RTM_GETLINK, 0, linkHeader{}, a)) {
		if errors.Is(err, unix.ENODEV) {
			return d, false, nil
		}
		if err != nil {
			return d, false, fmt.Errorf("look up interface %s: %w", name, err)
		}
		d, ok = parseDevice(m.Data)
	}
	return d, ok, nil
}

func parseDevice(data []byte) (d device, ok bool) {
	if len(data) < unix.SizeofIfInfomsg {
		return d, false
	}
	d.index, d.up = int(binary.NativeEndian.Uint32(data[4:])), binary.NativeEndian.Uint32(data[8:])&unix.IFF_UP != 0
	for kind, value := range nlsock.Attributes(data[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFALIAS:
			d.alias = unix.ByteSliceToString(value)
		case unix.IFLA_LINKINFO:
			d.kind = unix.ByteSliceToString(nlsock.Attribute(value, unix.IFLA_INFO_KIND))
		}
	}
	return d, true
}

// ensureDevice creates the ifb device, or takes the one that exists, and returns its index.
//
// The kernel ignores the alias in the message that creates an interface. The device is set up by the second message: until then it has
// no IPv6 link-local address, and with the mode none it gets none.
func (c conn) ensureDevice(s Spec, mtu int) (int, error) {
	if err := c.create(s.Device, mtu); err != nil && !errors.Is(err, unix.EEXIST) {
		return 0, fmt.Errorf("create ifb device %s: %w", s.Device, err)
	}
	d, ok, err := c.device(s.Device)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return 0, fmt.Errorf("create ifb device %s: %w", s.Device, unix.ENODEV)
	case !d.ours(s.Mark):
		return 0, fmt.Errorf("interface %s: %w (type %q, alias %q)", s.Device, ErrNotOwned, d.kind, d.alias)
	}
	if err := c.configure(d.index, s.Alias); err != nil {
		return 0, fmt.Errorf("set alias of ifb device %s: %w", s.Device, err)
	}
	return d.index, nil
}

// create creates the device with one queue: the files in /sys of each further one take time, and a token bucket has one.
func (c conn) create(name string, mtu int) error {
	var a, info attributes
	a.text(unix.IFLA_IFNAME, name)
	a.uint32(unix.IFLA_MTU, uint32(mtu))
	a.uint32(unix.IFLA_NUM_TX_QUEUES, 1)
	a.uint32(unix.IFLA_NUM_RX_QUEUES, 1)
	info.text(unix.IFLA_INFO_KIND, "ifb")
	a.add(unix.IFLA_LINKINFO, info)
	return c.do(linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, linkHeader{}, a))
}

// configure sets the alias, then sets the device up.
func (c conn) configure(index int, alias string) error {
	err := c.do(linkRequest(unix.RTM_NEWLINK, 0, linkHeader{index: index}, aliasOf(alias, true)))
	if errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 in this kernel, or the MTU is too small for it
		err = c.do(linkRequest(unix.RTM_NEWLINK, 0, linkHeader{index: index}, aliasOf(alias, false)))
	}
	if err != nil {
		return err
	}
	return c.do(linkRequest(unix.RTM_NEWLINK, 0, linkHeader{index, unix.IFF_UP}, nil))
}

func aliasOf(alias string, ipv6 bool) (a attributes) {
	a.add(unix.IFLA_IFALIAS, []byte(alias))
	if ipv6 {
		var mode, families attributes
		mode.add(inet6AddrGenMode, []byte{genModeNone})
		families.add(unix.AF_INET6, mode)
		a.add(unix.IFLA_AF_SPEC, families)
	}
	return a
}

// removeDevice deletes an ifb device whose alias begins with mark, or that has no alias. One that does not exist is no error; errors
// wrap ErrNotOwned if another program owns it.
func (c conn) removeDevice(name, mark string) error {
	d, ok, err := c.device(name)
	switch {
	case err != nil || !ok:
		return err
	case !d.ours(mark):
		return fmt.Errorf("interface %s: %w (type %q, alias %q)", name, ErrNotOwned, d.kind, d.alias)
	}
	err = c.do(linkRequest(unix.RTM_DELLINK, 0, linkHeader{index: d.index}, nil))
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete ifb device %s: %w", name, err)
	}
	return nil
}
