// Package link owns everything that goes over rtnetlink and through /proc/sys/net: bridges,
// veth pairs, addresses, routes, forwarding, and the frames that announce a new container; and
// it asks (sock_diag) which ports sockets of the host wait on.
// It never speaks nftables, reads or writes a state file, or knows what a CNI verb is.
//
//	host, err := link.OpenHost()                    // one socket in the host
//	sandbox, err := link.OpenSandbox(path, false)   // one in the container; the path is opened once
//	bridge, err := host.EnsureBridge(spec)          // made or adopted
//	err = host.Plug(sandbox, bridge, veth)          // the cable, its container end still down
//	applied, err := sandbox.Up(setup)               // sysctls, addresses, up, routes, and usable
//	err = host.Unplug(name, alias)                  // and away again
//
// Be aware: nothing here undoes what it did; that is the caller's business, who knows what was
// there before. On the way of an ADD links are looked up by name and addresses by interface:
// no dump grows with the number of containers. The kernel ignores alias and bridge port flags
// in the message that creates a link, so a second message carries them (design section 7).
package link
