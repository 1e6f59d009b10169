package link

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

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

// Room is ErrBridgeFull if the bridge has no port left.
func (h *Host) Room(b *Bridge) error {
	ports, err := h.ports(b)
	if err == nil && ports >= mostPorts {
		err = fmt.Errorf("bridge %s %w", b.Name, ErrBridgeFull)
	}
	return err
}

// ports counts them by a call that is older than netlink and takes microseconds; where it is not
// there, by a dump, which takes milliseconds for a thousand.
func (h *Host) ports(b *Bridge) (count int, err error) {
	const getPortList, devPrivate = 7, 0x89f0 // BRCTL_GET_PORT_LIST, linux/if_bridge.h; SIOCDEVPRIVATE, linux/sockios.h
	// What is given to the kernel as a number must not be moved by Go.
	var pinned runtime.Pinner
	defer pinned.Unpin()
	indexes := new([mostPorts + 1]int32) // by number of the port
	pinned.Pin(indexes)
	args := &[4]uintptr{getPortList, uintptr(unsafe.Pointer(indexes)), uintptr(len(indexes))}
	pinned.Pin(args)
	req := &struct { // struct ifreq
		name [unix.IFNAMSIZ]byte
		data uintptr
		_    [16]byte
	}{data: uintptr(unsafe.Pointer(args))}
	pinned.Pin(req)
	copy(req.name[:unix.IFNAMSIZ-1], b.Name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(h.socket.fd), devPrivate, uintptr(unsafe.Pointer(req)))
	if errno != 0 {
		ports, err := h.list(func(l *Link) bool { return l.Master == b.Index }, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.Index))))
		return len(ports), err
	}
	for _, index := range indexes {
		if index != 0 {
			count++
		}
	}
	return count, nil
}

// Names are those of all links of the host. A dump of a thousand links takes ten times as long.
func (h *Host) Names() (map[string]bool, error) {
	text, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return nil, fmt.Errorf("list names of links: %w", err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		// Two lines of headings have no colon. A name may: an alias of old times.
		if end := strings.LastIndexByte(line, ':'); end > 0 {
			names[strings.TrimSpace(line[:end])] = true
		}
	}
	return names, nil
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
