package uplink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// aliasPrefix and the name of the uplink are the alias (IFLA_IFALIAS) of a bridge that Move created. It is no
// link.BridgeAlias: to the verbs, such a bridge is one of the administrator, whose MAC and addresses they keep.
const aliasPrefix = "patchbay:uplink:"

// beginning is the group (IFLA_GROUP) of a bridge from its creation until it has its alias, which the kernel ignores in
// the message that creates a link. The number is the highest bit and the ASCII codes of "pbup".
const beginning = 1<<31 | 0x70627570

var (
	// ErrNotFound reports that an interface does not exist.
	ErrNotFound = errors.New("interface not found")
	// ErrForeign reports a bridge that Move has not created.
	ErrForeign = errors.New("not created by patchbay bridge create")
	// ErrNoPort reports an uplink that another program has taken out of its bridge.
	ErrNoPort = errors.New("is its uplink and no longer its port; make it a port again")
	// ErrExists reports that the name of the bridge is in use.
	ErrExists = errors.New("an interface of this name exists")
)

// operUp is IF_OPER_UP of linux/if.h.
const operUp = 6

// device is an interface of the host.
type device struct {
	name, kind, alias string
	index, mtu        int
	hardware          uint16 // ARPHRD_*
	flags             uint32 // IFF_*
	mac               []byte
	master, lower     int // indexes; 0 for none
	group             uint32
	operational       bool
	peer              bool   // the lower interface is in another namespace
	masterKind        string // kind of the master, for a port: "bridge", "bond"
}

// made reports whether Move created this bridge.
func (d *device) made() bool {
	return d.kind == "bridge" && (d.group == beginning || len(d.alias) > len(aliasPrefix) && d.alias[:len(aliasPrefix)] == aliasPrefix)
}

func (d *device) carrier() bool { return d.flags&unix.IFF_UP != 0 && d.flags&unix.IFF_LOWER_UP != 0 }

// link looks up an interface by name. Errors wrap ErrNotFound.
func (k *Kernel) link(name string) (*device, error) {
	all, err := k.links()
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
}

// links returns all interfaces.
func (k *Kernel) links() (all []*device, err error) {
	bodies, err := k.dump(unix.RTM_GETLINK, query(unix.RTM_NEWLINK, unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, body := range bodies {
		if len(body) >= linkHeader {
			all = append(all, parseLink(body))
		}
	}
	return all, nil
}

func parseLink(body []byte) *device {
	at := func(kind int) []byte { return attribute(body, linkHeader, kind) }
	info := at(unix.IFLA_LINKINFO)
	oper := at(unix.IFLA_OPERSTATE)
	return &device{
		name: textOf(at(unix.IFLA_IFNAME)), alias: textOf(at(unix.IFLA_IFALIAS)),
		kind: textOf(attribute(info, 0, unix.IFLA_INFO_KIND)), masterKind: textOf(attribute(info, 0, unix.IFLA_INFO_SLAVE_KIND)),
		index: int(binary.NativeEndian.Uint32(body[4:])), mtu: int(number32(at(unix.IFLA_MTU))),
		hardware: binary.NativeEndian.Uint16(body[2:]), flags: binary.NativeEndian.Uint32(body[8:]),
		mac: append([]byte(nil), at(unix.IFLA_ADDRESS)...), master: int(number32(at(unix.IFLA_MASTER))),
		lower: int(number32(at(unix.IFLA_LINK))), group: number32(at(unix.IFLA_GROUP)),
		operational: len(oper) > 0 && oper[0] == operUp, peer: at(unix.IFLA_LINK_NETNSID) != nil,
	}
}

// linkBody returns a message about an interface, or a new one with index 0.
func linkBody(index int, set, unset uint32) []byte {
	body := make([]byte, linkHeader)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	binary.NativeEndian.PutUint32(body[8:], set)
	binary.NativeEndian.PutUint32(body[12:], set|unset)
	return body
}

// createBridge creates the bridge, down, with the MAC of the uplink. Its MTU is another one than it gets
// with finishBridge: Linux takes an MTU for configured only when it changes; otherwise the bridge follows its ports.
func (k *Kernel) createBridge(s *State) (*device, error) {
	data := nlsock.AppendAttribute(nil, unix.IFLA_BR_FORWARD_DELAY, bytes32(0))
	data = nlsock.AppendAttribute(data, unix.IFLA_BR_STP_STATE, bytes32(0))
	info := nlsock.AppendAttribute(nil, unix.IFLA_INFO_KIND, text("bridge"))
	info = nlsock.AppendAttribute(info, unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, data)
	body := nlsock.AppendAttribute(linkBody(0, 0, 0), unix.IFLA_IFNAME, text(s.Bridge))
	body = nlsock.AppendAttribute(body, unix.IFLA_ADDRESS, s.MAC)
	body = nlsock.AppendAttribute(body, unix.IFLA_GROUP, bytes32(beginning))
	body = nlsock.AppendAttribute(body, unix.IFLA_MTU, bytes32(uint32(s.MTU-1)))
	body = nlsock.AppendAttribute(body, unix.IFLA_LINKINFO|unix.NLA_F_NESTED, info)
	err := k.send(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body)
	if errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("%s: %w", s.Bridge, ErrExists)
	}
	if err != nil {
		return nil, fmt.Errorf("create bridge %s: %w", s.Bridge, err)
	}
	return k.link(s.Bridge)
}

// finishBridge sets alias and MTU, and sets the bridge up.
func (k *Kernel) finishBridge(s *State, b *device) error {
	body := nlsock.AppendAttribute(linkBody(b.index, unix.IFF_UP, 0), unix.IFLA_IFALIAS, text(aliasPrefix+s.Uplink))
	body = nlsock.AppendAttribute(body, unix.IFLA_MTU, bytes32(uint32(s.MTU)))
	body = nlsock.AppendAttribute(body, unix.IFLA_GROUP, bytes32(0))
	if err := k.send(unix.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("set bridge %s up: %w", s.Bridge, err)
	}
	return nil
}

// setMaster makes the uplink a port of a bridge, or with 0 of none.
func (k *Kernel) setMaster(s *State, master int) error {
	body := nlsock.AppendAttribute(linkBody(s.Index, 0, 0), unix.IFLA_MASTER, bytes32(uint32(master)))
	if err := k.send(unix.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("set the bridge of %s: %w", s.Uplink, err)
	}
	return nil
}

// operTimeout bounds the wait for the transmit queue of a bridge that got its first port.
const operTimeout = 5 * time.Second

// awaitOperational waits until the bridge transmits: until then the kernel drops what is sent through it.
func (k *Kernel) awaitOperational(name string) error {
	err := await([]uint{unix.RTNLGRP_LINK}, operTimeout, func() (bool, error) {
		d, err := k.link(name)
		return err == nil && d.operational, err
	})
	if err != nil {
		return fmt.Errorf("wait for bridge %s to transmit: %w", name, err)
	}
	return nil
}

// deleteBridge deletes the bridge if Move created it. One that does not exist is no error.
func (k *Kernel) deleteBridge(name string) error {
	b, err := k.link(name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil && !b.made() {
		err = fmt.Errorf("%s: %w", name, ErrForeign)
	}
	if err == nil {
		err = k.send(unix.RTM_DELLINK, 0, linkBody(b.index, 0, 0))
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete bridge %s: %w", name, err)
	}
	return nil
}

// Made reports whether a bridge exists that Move created.
func (k *Kernel) Made(name string) bool {
	b, err := k.link(name)
	return err == nil && b.made()
}

// Ports returns the names of the ports of a bridge other than its uplink.
func (k *Kernel) Ports(bridge, uplink string) (names []string, err error) {
	all, err := k.links()
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.name != bridge {
			continue
		}
		for _, d := range all {
			if d.master == b.index && d.name != uplink {
				names = append(names, d.name)
			}
		}
	}
	return names, nil
}
