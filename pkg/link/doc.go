// Package link configures interfaces by rtnetlink and /proc/sys/net: bridges, veth pairs, addresses,
// routes, forwarding, and the packets that announce a new container. It also lists, by sock_diag, the
// ports on which sockets of the host receive. It must not use nftables, read or write state files, or
// know the CNI verbs.
//
//	host, err := link.OpenHost()                    // one socket in the host's namespace
//	sandbox, err := link.OpenSandbox(path, false)   // one in the container's; the path is opened once
//	bridge, err := host.EnsureBridge(spec)          // created, or the existing one
//	err = host.Plug(sandbox, bridge, veth)          // veth pair, the container interface still down
//	applied, err := sandbox.Up(setup)               // sysctls, addresses, up, routes
//	err = host.Unplug(name, alias)                  // deletes the pair
//
// No function undoes what it did: the caller knows the state before.
//
// ADD looks up links by name and lists addresses by interface, so that its cost does not grow with the
// number of containers. The kernel ignores alias and bridge port flags in the message that creates a
// link, so a second message sets them (docs/architecture.md).
//
// The kernel serializes changes of interfaces, addresses and routes by one lock, RTNL, for the whole
// machine (work to split it per network namespace began with Linux 6.13). Other programs hold it for
// milliseconds. So this package sends few, large messages, asks by key, and where DEL only reads it
// prefers what works without RTNL (OwnAddresses, Names).
//
// It waits for the kernel by subscribing to notifications, never by polling. Moving an interface to
// another namespace, deleting one and closing a packet socket each wait for an RCU grace period, up to
// 20 ms: an ADD does none of them, unless it has to probe addresses.
package link
