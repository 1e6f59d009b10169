package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// protocol is NDA_PROTOCOL of the neighbour entries of this package, the same number as that of routes (package noderoute).
const protocol = 112

// neighbourHeader is a struct ndmsg (linux/neighbour.h).
type neighbourHeader struct {
	family uint8
	index  int
	state  uint16
	flags  uint8
}

const (
	headerSize  = 12 // of struct ndmsg
	ndaProtocol = 12 // NDA_PROTOCOL, linux/neighbour.h, Linux 5.0
)

func (n neighbourHeader) bytes() []byte {
	b := binary.NativeEndian.AppendUint32([]byte{n.family, 0, 0, 0}, uint32(n.index))
	return append(binary.NativeEndian.AppendUint16(b, n.state), n.flags, 0)
}

// dumpTries is how often a dump is repeated that other changes have interrupted.
const dumpTries = 10

// Entries returns the entries of a device that are of this program, in the order of the kernel. One that another program has replaced is not
// among them.
func (h *Host) Entries(index int) (e cluster.Entries, err error) {
	filter := nlsock.AppendAttribute(neighbourHeader{}.bytes(), unix.NDA_IFINDEX, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	err = h.dump(filter, func(body []byte) {
		if n, ok := parseNeighbour(body, index); ok {
			e.Neighbours = append(e.Neighbours, n)
		}
	}, func() { e.Neighbours = nil })
	if err != nil {
		return e, fmt.Errorf("list neighbours of the overlay: %w", err)
	}
	err = h.dump(neighbourHeader{family: unix.AF_BRIDGE, index: index}.bytes(), func(body []byte) {
		if f, ok := parseForward(body, index); ok {
			e.Forwards = append(e.Forwards, f)
		}
	}, func() { e.Forwards = nil })
	if err != nil {
		return e, fmt.Errorf("list the forwarding database of the overlay: %w", err)
	}
	return e, nil
}

// dump sends a request and calls each for every answer; before it is sent again, reset.
func (h *Host) dump(request []byte, each func(body []byte), reset func()) (err error) {
	for range dumpTries {
		reset()
		err = nil
		for m, failed := range h.socket.Execute(nlsock.Message{Type: unix.RTM_GETNEIGH, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Data: request}) {
			if err = failed; failed == nil && len(m.Data) >= headerSize {
				each(m.Data)
			}
		}
		if !errors.Is(err, nlsock.ErrInterrupted) {
			return err
		}
	}
	return err
}

// about reports whether an entry is a permanent one of a device.
func about(body []byte, index int) bool {
	return int(binary.NativeEndian.Uint32(body[4:])) == index && binary.NativeEndian.Uint16(body[8:])&unix.NUD_PERMANENT != 0
}

// parseNeighbour reads an entry of this program.
func parseNeighbour(body []byte, index int) (n cluster.Neighbour, ok bool) {
	attributes := body[headerSize:]
	mac, by := nlsock.Attribute(attributes, unix.NDA_LLADDR), nlsock.Attribute(attributes, ndaProtocol)
	if !about(body, index) || len(by) != 1 || by[0] != protocol || len(mac) != len(n.MAC) {
		return n, false
	}
	n.Addr, ok = netip.AddrFromSlice(nlsock.Attribute(attributes, unix.NDA_DST))
	n.MAC = cluster.MAC(mac)
	return n, ok
}

// parseForward reads an entry of this program. The kernel sends port, VNI and interface of one that has others than the device.
func parseForward(body []byte, index int) (f cluster.Forward, ok bool) {
	attributes := body[headerSize:]
	mac := nlsock.Attribute(attributes, unix.NDA_LLADDR)
	if !about(body, index) || len(mac) != len(f.MAC) {
		return f, false
	}
	for kind := range nlsock.Attributes(attributes) {
		if kind == unix.NDA_PORT || kind == unix.NDA_VNI || kind == unix.NDA_IFINDEX {
			return f, false
		}
	}
	f.To, ok = netip.AddrFromSlice(nlsock.Attribute(attributes, unix.NDA_DST))
	f.MAC = cluster.MAC(mac)
	return f, ok && f.MAC == cluster.MACOf(f.To)
}

// SetForward sets the node of a MAC; an entry that exists is replaced.
func (h *Host) SetForward(index int, f cluster.Forward) error {
	return h.change(unix.RTM_NEWNEIGH, forwardRequest(index, f), "set node "+f.To.String()+" of "+f.MAC.String())
}

// DeleteForward deletes exactly this entry. One that does not exist is no error.
func (h *Host) DeleteForward(index int, f cluster.Forward) error {
	return h.change(unix.RTM_DELNEIGH, forwardRequest(index, f), "delete node "+f.To.String()+" of "+f.MAC.String())
}

func forwardRequest(index int, f cluster.Forward) []byte {
	head := neighbourHeader{family: unix.AF_BRIDGE, index: index, state: unix.NUD_PERMANENT, flags: unix.NTF_SELF}
	return nlsock.AppendAttribute(nlsock.AppendAttribute(head.bytes(), unix.NDA_LLADDR, f.MAC[:]), unix.NDA_DST, f.To.AsSlice())
}

// SetNeighbour sets the MAC of a gateway; an entry that exists is replaced.
func (h *Host) SetNeighbour(index int, n cluster.Neighbour) error {
	request := nlsock.AppendAttribute(neighbourRequest(index, n), unix.NDA_LLADDR, n.MAC[:])
	request = nlsock.AppendAttribute(request, ndaProtocol, []byte{protocol})
	return h.change(unix.RTM_NEWNEIGH, request, "set neighbour "+n.Addr.String())
}

// DeleteNeighbour deletes the entry of a gateway. One that does not exist is no error.
func (h *Host) DeleteNeighbour(index int, n cluster.Neighbour) error {
	return h.change(unix.RTM_DELNEIGH, neighbourRequest(index, n), "delete neighbour "+n.Addr.String())
}

func neighbourRequest(index int, n cluster.Neighbour) []byte {
	head := neighbourHeader{family: unix.AF_INET6, index: index, state: unix.NUD_PERMANENT}
	if n.Addr.Is4() {
		head.family = unix.AF_INET
	}
	return nlsock.AppendAttribute(head.bytes(), unix.NDA_DST, n.Addr.AsSlice())
}

// change sends a request about an entry.
func (h *Host) change(kind uint16, request []byte, what string) error {
	var flags uint16
	if kind == unix.RTM_NEWNEIGH {
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	}
	err := h.execute(kind, flags, request)
	if kind == unix.RTM_DELNEIGH && errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s in the overlay: %w", what, err)
	}
	return nil
}

// execute sends a request that has no answer but an acknowledgement.
func (h *Host) execute(kind, flags uint16, data []byte) error {
	for _, err := range h.socket.Execute(nlsock.Message{Type: kind, Flags: unix.NLM_F_REQUEST | unix.NLM_F_ACK | flags, Data: data}) {
		return err
	}
	return nil
}

// linkHeader returns a struct ifinfomsg.
func linkHeader(index int) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}
