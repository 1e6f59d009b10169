package portowner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/cni"
)

// TestTakenPortIsSeenFirst: a port conflict fails an ADD before it creates anything: no bridge and no directory of the network, whether the two
// mappings are for one address or for the wildcard.
func TestTakenPortIsSeenFirst(t *testing.T) {
	t.Parallel()
	h := host(t)
	owner := on(h, "owner", network("net", "cni0"), mapping(8080), mapping(9090, of("192.0.2.1")))
	owner.add(t)
	n := 0
	for thing, wanted := range map[string]cni.Conf{
		"port 8080/tcp": mapping(8080), "port 9090/tcp of 192.0.2.1": mapping(9090), "port 8080/tcp ": mapping(8080, of("192.0.2.9")),
	} {
		n++
		late := on(h, fmt.Sprintf("late%d", n), network("other", "cni5"), mapping(7070), wanted)
		late.refused(t, owner, strings.TrimSpace(thing))
		h.Run(t, "sh", "-c", "! ip link show cni5 && ! test -e /run/patchbay/other && ! test -e /run/patchbay/ipam/other")
	}
	owner.del(t)
}
