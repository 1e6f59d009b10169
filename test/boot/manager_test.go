package boot

import (
	"testing"

	"github.com/patchbay-cni/patchbay/test/kit/expect"
)

// lanConnection is the connection of the administrator.
const lanConnection = `[connection]
id=lan
type=ethernet
interface-name=eth0
[ipv4]
method=manual
address1=192.0.2.10/24,192.0.2.1
dns=192.0.2.1;
[ipv6]
method=link-local
`

// TestNetworkManager is TestNetworkd on a host whose eth0 NetworkManager manages: `bridge create` is refused without --force there.
//
// Claim: On a booted Debian with NetworkManager an ssh session survives `bridge create --force` and the removal without confirmation, with at most 2 s of silence
// Claim: With the files of `bridge create --persist NetworkManager --write` a booted Debian has the bridge after a reboot, and without them the interface as before
func TestNetworkManager(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const dir = "/etc/NetworkManager/system-connections/"
	s.Write(t, dir+"lan.nmconnection", "0600", []byte(lanConnection))
	s.Run(t, "systemctl", "enable", "--now", "NetworkManager", "ssh")
	s.awaitSSH(t)
	before := s.state(t)
	r := s.over(t, "patchbay bridge create br0 --uplink eth0 --yes")
	expect.Equal(t, "exit without --force", r.exit, 1)
	expect.Contains(t, r.stderr, "eth0 is managed by another program: NetworkManager", "--force --persist NetworkManager --write")
	s.unchanged(t, "refused", before)
	s.bridgeBySSH(t, "NetworkManager", ways{
		force: " --force",
		files: []string{dir + "br0.nmconnection", dir + "br0-eth0.nmconnection"},
	})
}
