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
// it is passed over without a word, of SCTP it does not look at ports, and of IPv6 it finds the
// addresses that are not equal. So it is asked only what every kernel answers rightly, and each
// answer is compared again here.
package conntrack
