package link

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// NeighbourTable is the neighbour table of one version of IP, which all network namespaces of a machine share. A new
// entry is refused if there are Limit entries, and none can be removed; from Soft on the kernel removes those that were
// not used for five seconds.
type NeighbourTable struct {
	IPv6    bool
	Entries int // without those of this namespace that do not count: permanent ones, of interfaces without ARP, learned elsewhere
	Soft    int // gc_thresh2
	Limit   int // gc_thresh3
}

// Attributes of RTM_GETNEIGHTBL (linux/neighbour.h), and where struct ndt_config has the number of entries.
const (
	ndtaThresh2, ndtaThresh3, ndtaConfig = 3, 4, 5
	entriesAt                            = 4
)

// NeighbourTables returns the tables of IPv4 and IPv6. Numbers and limits are those of the whole machine, in every network
// namespace. Entries of other namespaces that do not count are not known, and are included.
func (h *Host) NeighbourTables() (all []NeighbourTable, err error) {
	s, err := nlsock.OpenIn(h.netns.socket, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("list neighbour tables: %w", err)
	}
	defer s.Close()
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		t, err := readNeighbourTable(s, family)
		if err != nil {
			return nil, fmt.Errorf("list neighbour tables: %w", err)
		}
		if t.Limit == 0 {
			continue // a kernel without IPv6
		}
		if t.Entries >= min(t.Soft, t.Limit/2) { // to list all takes long
			exempt, err := exemptNeighbours(s, family)
			if err != nil {
				return nil, fmt.Errorf("list neighbours: %w", err)
			}
			t.Entries = max(0, t.Entries-exempt)
		}
		all = append(all, t)
	}
	return all, nil
}

// readNeighbourTable reads one table. Messages without the attribute of the configuration are about interfaces.
func readNeighbourTable(s *nlsock.Socket, family byte) (t NeighbourTable, err error) {
	t.IPv6 = family == unix.AF_INET6
	request := nlsock.Message{Type: unix.RTM_GETNEIGHTBL, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Data: []byte{family, 0, 0, 0}}
	for answer, err := range s.Execute(request) {
		if err != nil {
			return t, err
		}
		if len(answer.Data) < 4 || answer.Data[0] != family {
			continue
		}
		attributes := answer.Data[4:]
		config := nlsock.Attribute(attributes, ndtaConfig)
		soft, limit := nlsock.Attribute(attributes, ndtaThresh2), nlsock.Attribute(attributes, ndtaThresh3)
		if len(config) >= entriesAt+4 && len(soft) == 4 && len(limit) == 4 {
			t.Entries = int(binary.NativeEndian.Uint32(config[entriesAt:]))
			t.Soft, t.Limit = int(binary.NativeEndian.Uint32(soft)), int(binary.NativeEndian.Uint32(limit))
		}
	}
	return t, nil
}

// exemptNeighbours counts the entries of this namespace that the kernel leaves out of its limit.
func exemptNeighbours(s *nlsock.Socket, family byte) (n int, err error) {
	const length, stateAt, flagsAt = 12, 8, 10 // of struct ndmsg
	request := nlsock.Message{Type: unix.RTM_GETNEIGH, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP, Data: append([]byte{family}, make([]byte, length-1)...)}
	for answer, err := range s.Execute(request) {
		if err != nil {
			return n, err
		}
		if len(answer.Data) < length || answer.Data[0] != family {
			continue
		}
		state, flags := binary.NativeEndian.Uint16(answer.Data[stateAt:]), answer.Data[flagsAt]
		if state&(unix.NUD_PERMANENT|unix.NUD_NOARP) != 0 || flags&unix.NTF_EXT_LEARNED != 0 {
			n++
		}
	}
	return n, nil
}
