package link

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Veths are all links of the host that are of this type, each with its alias. The kernel picks
// them out of the others (Linux 4.6).
func (h *Host) Veths() ([]*Link, error) {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.ZeroTerminated("veth"))
	return h.list(func(l *Link) bool { return l.Kind == "veth" }, info)
}

// mostPorts is how many a bridge can have: they are numbered from 1, in ten bits.
const mostPorts = 1023

// Room is ErrBridgeFull if the bridge has no port left. It dumps the ports, which the kernel picks
// out of all links (Linux 4.6).
func (h *Host) Room(b *Bridge) error {
	ports, err := h.list(func(l *Link) bool { return l.Master == b.Index }, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.Index))))
	if err == nil && len(ports) >= mostPorts {
		err = fmt.Errorf("bridge %s %w", b.Name, ErrBridgeFull)
	}
	return err
}

// mostDumps is how often a dump is begun anew when the kernel says that it may have holes.
const mostDumps = 5

// list dumps the links that pass: those that the kernel chooses by the filters, if it knows them,
// and of these the wanted ones.
func (h *Host) list(wanted func(*Link) bool, filters ...*nl.RtAttr) ([]*Link, error) {
	var found []*Link
	var err error
	for range mostDumps {
		found = nil
		err = h.socket.execute(dumpRequest(filters), func(body []byte) {
			if l := parseLink(body); l != nil && wanted(l) {
				found = append(found, l)
			}
		})
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return found, nil
}

func dumpRequest(filters []*nl.RtAttr) *nl.NetlinkRequest {
	req := linkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, linkHeader{})
	for _, f := range filters {
		req.AddData(f)
	}
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	return req
}
