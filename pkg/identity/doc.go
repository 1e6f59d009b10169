// Package identity derives and parses every name by which an attachment is known: the name, alias and MAC addresses of its
// host interface, the comment of its nftables elements, and the name that commands print.
//
//	n := identity.Of(store.Key{Network: "web", ContainerID: "c1", IfName: "eth0"})
//	n.HostInterface // "veth" and 11 base32 digits
//	n.Alias         // "patchbay:0123456789ab web/c1/eth0"
//	key, owner, ok := identity.ParseAlias(n.Alias)
//
// It asks the kernel nothing and opens no file but /etc/machine-id. Names follow from (machine-id, network, container ID,
// interface name) alone, so that DEL finds an attachment of which nothing else is known.
//
// Files, in reading order: names.go, alias.go, display.go.
package identity
