package doctor

import (
	"fmt"
	"os"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// neighbours reports neighbour tables that are nearly full. The host then cannot resolve containers and routers.
func (x *examination) neighbours() (found []Finding, err error) {
	if len(x.bridges) == 0 {
		return nil, nil
	}
	tables, err := x.host.NeighbourTables()
	for _, t := range tables {
		f, note := crowded(t, isInitial(t))
		if f != nil {
			found = append(found, *f)
		}
		if note != "" {
			x.remarks = append(x.remarks, note)
		}
	}
	return found, err
}

// isInitial reports whether this is the initial network namespace, the only one that has the sysctls of a table.
func isInitial(t link.NeighbourTable) bool {
	_, err := os.Stat("/proc/sys/net/" + version(t) + "/neigh/default/gc_thresh3")
	return err == nil
}

func version(t link.NeighbourTable) string {
	if t.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// crowded returns the finding for a table that is seven eighths full, or the note for one of which the kernel removes entries
// early. Outside of the initial network namespace a full table is a note: the entries may all be of other namespaces, and
// the limit cannot be changed there.
func crowded(t link.NeighbourTable, isInitial bool) (*Finding, string) {
	name := map[bool]string{false: "arp_cache", true: "ndisc_cache"}[t.IPv6]
	if t.Entries < t.Limit-t.Limit/8 {
		if t.Entries <= t.Soft || !isInitial {
			return nil, ""
		}
		return nil, fmt.Sprintf("the %s neighbour table has %d entries, more than gc_thresh2 (%d): the kernel removes entries that were not used for 5 s", family(!t.IPv6), t.Entries, t.Soft)
	}
	says := fmt.Sprintf("the %s neighbour table is nearly full: the host cannot resolve further containers, routers and other hosts when it is", family(!t.IPv6))
	seen := fmt.Sprintf(`%d of %d entries of %s (gc_thresh3), of all network namespaces; the kernel logs "neighbour: %s: neighbor table overflow!" when it is full`, t.Entries, t.Limit, name, name)
	if !isInitial {
		return nil, says + ": " + seen + "; enlarge it in the initial network namespace"
	}
	prefix := "net." + version(t) + ".neigh.default.gc_thresh"
	return &Finding{Says: says, Seen: seen, Fix: []string{
		printable.Command("sysctl", "-w", fmt.Sprintf("%s3=%d", prefix, 4*t.Limit), fmt.Sprintf("%s2=%d", prefix, 2*t.Limit), fmt.Sprintf("%s1=%d", prefix, t.Limit)),
		"# add these to /etc/sysctl.d to keep them after a reboot",
	}}, ""
}
