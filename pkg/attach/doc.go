// Package attach is the hall: it owns the order in which the rooms do their work for each CNI
// verb, what is undone when one of them fails, and the error codes that a runtime sees.
// It never forms a netlink message, opens a state file or parses a key itself.
//
// An ADD is seven calls:
//
//	config.Parse      validate all; nothing has happened yet
//	store.Reserve     lock the record; choose addresses, write the record, create the address files
//	link.Plug         bridge if missing; veth born in place, container end down; port flags
//	delegate.Call     only if another IPAM plugin than ours gives the addresses: ask it, write them down
//	nft.Publish       one transaction of elements: masquerade
//	link.Up           sysctls, addresses, routes, up, announce
//	print             a result that cannot be written is a failed ADD
//
// DEL is the same line backwards, goes on past errors and frees the address last. CHECK
// compares record and kernel and changes nothing.
package attach
