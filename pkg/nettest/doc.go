// Package nettest provides hosts for kernel tests: a network and a mount namespace each,
// with containers, a LAN, pings and captures, and a leak check at the end of the test.
//
// It does not change the network of the machine, and only tests import it.
//
//	h := nettest.Host(t)
//	c := h.Container("web")
//	lan := h.LAN(t)
//	add := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: conf}
//	h.CNI(t, add).Result(t)
//	err := c.PingOnce(netip.MustParseAddr(nettest.LANOutside4))
//
// Constraints:
//
//   - Every test has its own hosts, so tests may run in parallel.
//   - At the end of a test the host must be as it was before (see Node.Baseline and Mode).
//   - A function that Node.Do runs is on a thread in the namespaces. /proc/self is not in
//     them, and goroutines that the function starts are not either.
//   - Programs that Command starts end with the host.
//   - A test that needs root or a feature that is missing is skipped, and fails if CI is
//     set in the environment.
package nettest
