// Package firewall reads the packet filters of other programs (docker, ufw,
// firewalld, a plain `policy drop`, iptables-legacy) and reports whether they drop
// the traffic of a bridge's containers: in which table, chain and rule, and the
// command that fixes it. It edits one chain, DOCKER-USER of iptables, which docker
// provides for that. It must not edit any other chain, nor rules in it that are not
// its own, except those that the reference plugins added for one attachment, which it
// removes as their DEL does. It does not read the tables of pkg/nft, and starts no
// program.
//
//	filters, err := firewall.Open()
//	drops, err := filters.Drops(bridge)       // none if all traffic passes
//	changed, err := filters.Allow("cni0")     // two rules in DOCKER-USER, if it exists
//	names, err := filters.Allowed()           // the bridges that have such rules
//	changed, err = filters.Disallow("cni0")
//	removed, err := filters.RemoveReference(attachment)
//
// An accept in one table does not overrule a drop in another: every base chain of the
// forward hook must accept a packet. So a plugin cannot open the way with rules of
// its own table.
//
// # Evaluation
//
// Rules are read and evaluated for typical packets: one from a container to another host, its reply, one
// to a published port, one between containers of the bridge. Known of a packet are
// the interfaces, the state of its connection, that it is TCP and has no mark. Its
// addresses and ports are unknown, and so is the result of a match that this package
// does not implement. A match is therefore true never, rarely, perhaps, mostly or
// always (see likelihood), the evaluation continues with every possible result, and
// Drop.Certain is false if another result is possible. A chain is read when a
// packet may reach it, and once.
//
// Rules are decoded here because google/nftables skips expressions that it does not
// know, so that a rule seems to match more than it does, and trusts lengths that
// other programs wrote.
package firewall
