// Package nettest owns the hosts that kernel tests run on: a network and a
// mount namespace each, with containers, a LAN, pings, captures and the oracle
// that finds what a test left behind. It never touches the machine's own
// network, and no program but tests uses it.
//
//	h := nettest.Host(t)
//	c := h.Container("web")
//	lan := h.LAN(t)
//	add := nettest.Call{Command: "ADD", ContainerID: c.ID(), Netns: c.Path(), IfName: "eth0", Config: conf}
//	h.CNI(t, add).Result(t)
//	err := c.PingOnce(netip.MustParseAddr(nettest.LANOutside4))
//
// Every test has hosts of its own, so tests may run in parallel. At the end of
// the test the host must be as it was (see Node.Baseline and Mode).
//
// Be aware: what runs by Node.Do is on a thread inside the namespaces, but
// /proc/self is not, and goroutines it starts are not. Programs started by
// Command end with the host. A test that needs root or a feature is skipped
// without it, and fails where the environment has CI set.
package nettest
