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

// Veths returns all veth interfaces of the host, each with its alias. The kernel filters by kind
// (IFLA_LINKINFO in the dump request, Linux 4.6); an older one sends all links, which are filtered here.
//
// The kernel has no dump filter for names or aliases: the caller compares them.
func (h *Host) Veths() ([]*Link, error) {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.ZeroTerminated("veth"))
	return h.list(func(l *Link) bool { return l.Kind == "veth" }, info)
}

// CheckFreePort returns an error that wraps ErrBridgeFull if the bridge has no free port.
func (h *Host) CheckFreePort(b *Bridge) error {
	ports, err := h.ports(b)
	if err == nil && ports >= MaxPorts {
		err = fullError(b)
	}
	return err
}

// UnmanagedPort returns the first port of a bridge, in the order of port numbers, that is up and is not
// Patchbay's; nil without one. The predicates recognize our ports: oursByName by the name alone, so
// that most ports need no further request, and ours by all attributes.
func (h *Host) UnmanagedPort(b *Bridge, oursByName func(string) bool, ours func(*Link) bool) (*Link, error) {
	indexes, err := h.portIndexes(b)
	for _, index := range indexes {
		if name := h.nameOf(index); name == "" || oursByName(name) {
			continue
		}
		l, err := h.LinkAt(index)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if l.Up && l.operational() && !ours(l) {
			return l, nil
		}
	}
	return nil, err
}

// nameOf returns the name of an interface, "" if it does not exist. The ioctl takes less than a
// microsecond, without the RTNL lock; a bridge may have a thousand ports.
func (h *Host) nameOf(index int) string { return nameAt(h.socket.FD(), index) }

// nameAt is nameOf in the namespace of a socket.
func nameAt(fd, index int) string {
	req := struct { // struct ifreq
		name  [unix.IFNAMSIZ]byte
		index int32
		_     [20]byte
	}{index: int32(index)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFNAME, uintptr(unsafe.Pointer(&req)))
	if errno != 0 {
		return ""
	}
	return unix.ByteSliceToString(req.name[:])
}

// ports returns the number of ports of a bridge.
func (h *Host) ports(b *Bridge) (int, error) {
	indexes, err := h.portIndexes(b)
	return len(indexes), err
}

// portIndexes returns the interface indexes of the ports of a bridge. The bridge ioctl is older than
// netlink, takes microseconds, and is missing where the kernel was built without it or another ABI runs
// (compat); then a dump is used, which takes milliseconds for a thousand ports.
func (h *Host) portIndexes(b *Bridge) (found []int, err error) {
	const getPortList, devPrivate = 7, 0x89f0 // BRCTL_GET_PORT_LIST, linux/if_bridge.h; SIOCDEVPRIVATE, linux/sockios.h
	// The kernel gets these addresses as numbers, of which the garbage collector does not know.
	var pinned runtime.Pinner
	defer pinned.Unpin()
	indexes := new([MaxPorts + 1]int32) // by number of the port
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
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(h.socket.FD()), devPrivate, uintptr(unsafe.Pointer(req)))
	if errno != 0 {
		ports, err := h.list(func(l *Link) bool { return l.Master == b.Index }, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.Index))))
		for _, l := range ports {
			found = append(found, l.Index)
		}
		return found, err
	}
	for _, index := range indexes {
		if index != 0 {
			found = append(found, int(index))
		}
	}
	return found, nil
}

// PortNames returns the names of the ports of a bridge, in a dump that the kernel filters by IFLA_MASTER
// (Linux 4.6).
func (h *Host) PortNames(b *Bridge) (map[string]bool, error) {
	ports, err := h.list(func(l *Link) bool { return l.Master == b.Index }, nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.Index))))
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(ports))
	for _, l := range ports {
		names[l.Name] = true
	}
	return names, nil
}

// Names returns the names of all links of the host. Reading /proc/net/dev takes a tenth of the time of a
// dump of a thousand links, whose attributes the kernel would have to assemble.
//
// The file is read under RCU (net/core/net-procfs.c), and not under the RTNL lock. It is
// that of the calling thread: /proc/net is /proc/self/net, the namespace of the process's
// first thread.
func (h *Host) Names() (map[string]bool, error) {
	text, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return nil, fmt.Errorf("list names of links: %w", err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		// The two header lines have no colon. A name may contain one: an alias interface (eth0:1).
		if end := strings.LastIndexByte(line, ':'); end > 0 {
			names[strings.TrimSpace(line[:end])] = true
		}
	}
	return names, nil
}

// maxDumps is how often a dump is repeated while the kernel reports that it was inconsistent, because
// the list changed between two messages (NLM_F_DUMP_INTR).
//
// For links the kernel counts every creation, removal and change of name (dev_base_seq). On
// a host that creates containers all the time a dump of many messages can be interrupted
// five times in a row; the error is then left to the caller, because a link may be missing
// or be there twice.
const maxDumps = 5

// list dumps links and returns those for which wanted is true. The filters are attributes of the
// request; a kernel that does not know one ignores it, so wanted must check the same condition.
func (c *conn) list(wanted func(*Link) bool, filters ...*nl.RtAttr) ([]*Link, error) {
	var found []*Link
	var err error
	for range maxDumps {
		found = nil
		err = c.socket.execute(dumpRequest(filters), func(body []byte) {
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

// dumpRequest returns a request for all links that pass the filters, without their statistics.
func dumpRequest(filters []*nl.RtAttr) *nl.NetlinkRequest {
	req := linkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, linkHeader{})
	for _, f := range filters {
		req.AddData(f)
	}
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics)))
	return req
}
