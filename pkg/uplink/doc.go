// Package uplink moves the network state of a physical interface to a bridge of which the interface becomes a
// port, and back: addresses, routes of all tables and policy rules, with every attribute that the kernel dumps. It
// must not create attachments, write files except of /proc/sys/net, or decide how long a bridge stays.
//
//	k, err := uplink.Open()
//	state, err := k.Capture("eth0", "br0") // changes nothing
//	err = k.Move(state)                    // creates br0; eth0 becomes its port
//	err = k.Answer(state, 5*time.Second)   // the gateways answer through br0
//	err = k.Restore(state)                 // eth0 has its state again, br0 does not exist
//
// Restore works from every state in which Move can have been interrupted, and may itself be interrupted and
// called again: it compares with State and changes what differs.
//
// Messages of the kernel are kept as they were dumped and sent back with another interface index, so that an
// attribute that this package does not know is moved too.
//
// # Order
//
// Both orders keep every address local on the host at every moment, and a route to the gateway that works.
//
// Move: the bridge with the MAC of the uplink, up; its addresses, which the kernel routes to the uplink first,
// whose routes are older; then the port, and after the kernel has switched the transmit queue of the bridge on, the
// routes; rules; at last the addresses of the uplink are removed. A packet that the host sends in between leaves by
// the uplink, which as a bridge port still transmits; one that arrives is received by the bridge.
//
// Restore: the addresses of the uplink, then no port, the routes, rules, and the bridge is deleted.
//
// The kernel deletes a route whose preferred source (RTA_PREFSRC) is no local address any more, so an IPv4
// address is always added before it is removed elsewhere. IPv6 addresses are added with IFA_F_NODAD, which a second
// message clears: a tentative address cannot be the source of a route, and duplicate address detection was done
// on the same link already.
//
// Files, in reading order: move.go, restore.go, check.go, managed.go, gateway.go, state.go, advertised.go, address.go, route.go, rule.go, bridge.go, sysctl.go, kernel.go, message.go.
package uplink
