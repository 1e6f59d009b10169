// Package conntrack owns the flows that the kernel's connection tracking remembers of published
// UDP and SCTP ports: it ends those that a mapping has made stale, and never any other. It makes no
// flow, changes none, and knows no rule of the ruleset. TCP needs none of it: a connection ends by
// itself when its other end is another.
//
//	err := conntrack.FlushStale(ctx, mappings, host.IsLocal) // ADD, when its elements are in the ruleset
//	err := conntrack.FlushOwn(ctx, mappings, host.IsLocal)   // DEL, when its elements are gone
//
// Why: destination NAT is decided by the first packet of a flow. A client that goes on to send from
// one port (a resolver, a SIP phone, syslog) keeps the decision alive: for the host itself if the
// client was there before the container, or for a container that is gone.
//
// Be aware: the kernel's filter of a dump (CTA_FILTER, Linux 5.8) is a help and no more. Before 5.8
// it is passed over without a word. Of SCTP it does not look at ports; of IPv6 it finds the addresses
// that are not equal (tried on 6.18); and what is said of the reply it took for the original until
// 5.10.83 and 5.16. So it is asked only what every kernel answers rightly or not at all, and each
// answer is compared again here. A dump takes the kernel 5 ms even if it finds nothing: callers do
// something else meanwhile.
package conntrack
