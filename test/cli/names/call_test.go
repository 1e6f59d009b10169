package names

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// addCall returns the ADD of a runtime to the network lab.
func addCall(s *site, id, netns string) nettest.Call {
	s.t.Helper()
	conf := `{"cniVersion": "1.0.0", "name": %q, "type": "patchbay", "bridge": "br-lab", "isGateway": true,
		"ipam": {"type": "patchbay", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "2001:db8:1::/64"}]]}}`
	return nettest.Call{Command: "ADD", ContainerID: id, Netns: netns, IfName: "eth0", Config: fmt.Appendf(nil, conf, "lab")}
}
