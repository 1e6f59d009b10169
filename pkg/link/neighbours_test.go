package link_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// TestNeighbourTables: limits are those that ip(8) prints, in a network namespace too, and permanent entries of this namespace do not count.
func TestNeighbourTables(t *testing.T) {
	h := nettest.Host(t)
	h.Bridge("br0", "192.0.2.1/24")
	var all []link.NeighbourTable
	var exempt, before int
	ignored := func() int {
		return strings.Count(h.Run(t, "ip", "-4", "neigh", "show", "nud", "permanent", "nud", "noarp"), "\n")
	}
	for i := range 7 {
		h.Run(t, "ip", "neigh", "add", fmt.Sprintf("192.0.2.%d", i+10), "lladdr", "02:00:00:00:00:01", "dev", "br0", "nud", []string{"permanent", "stale"}[i%2])
	}
	before = ignored()
	h.Do(func() {
		host, err := link.OpenHost()
		if err != nil {
			t.Error(err)
			return
		}
		defer host.Close()
		if all, err = host.NeighbourTables(); err == nil {
			exempt, err = link.ExemptNeighbours(host)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if after := ignored(); exempt < before || exempt > after || before < 4 { // the kernel adds those of multicast groups when it reports them
		t.Errorf("%d entries do not count, want the permanent ones and those without ARP, %d to %d", exempt, before, after)
	}
	listed := h.Run(t, "ip", "ntable", "show")
	for _, table := range all {
		want := fmt.Sprintf("thresh2 %d thresh3 %d", table.Soft, table.Limit)
		if table.Limit == 0 || !strings.Contains(listed, want) {
			t.Errorf("%+v: ip ntable lacks %q:\n%s", table, want, listed)
		}
	}
	if len(all) != 2 || all[0].IPv6 || !all[1].IPv6 {
		t.Errorf("tables %+v, want those of IPv4 and IPv6", all)
	}
}
