// Package firewall is what Patchbay knows of the packet filters of others: docker, ufw, firewalld, a
// bare `policy drop`, legacy iptables. It reads them and says whether they would drop what a bridge's
// containers need, where (table, chain, rule), and with which command that is mended.
// It edits one chain, which is made for that: DOCKER-USER of iptables. It never touches another, nor
// a rule there that is not its own; it never looks at what pkg/nft owns; and it starts no program.
//
//	filters, err := firewall.Open()         // one socket in the host
//	drops, err := filters.Drops(bridge)     // nothing if all passes
//	changed, err := filters.Allow("cni0")   // two rules in DOCKER-USER, where there is one
//	names, err := filters.Allowed()         // bridges that have some
//	changed, err = filters.Disallow("cni0")
//
// An accept in one table cannot overrule a drop in another: every chain of the forward hook must let
// a packet pass, which is why a plugin cannot open the way with rules of its own, and has to ask.
//
// # How it judges
//
// The rules are not tried with packets; they are read, and a packet is thought through them: one that
// leaves, one that comes back, one to a published port, one between neighbours. What is known of it
// are the links, the state of its connection, that it is TCP and has no mark; of its addresses and
// ports nothing is known, nor what a match does that this package does not understand. A match is so
// never, rarely, perhaps, mostly or always true (see answer), the walk goes on with all that may be,
// and a Drop says whether it is Certain. Chains are read when a packet may come to them, each once.
//
// Rules are decoded here and not by google/nftables, which leaves out expressions that it does not
// know, so that a rule seems to match more than it does, and which trusts the lengths of what others
// have written.
package firewall
