// Package conntrack deletes connection tracking entries (flows) of published UDP and
// SCTP ports that a port mapping has made stale. It must not delete any other flow,
// and neither creates nor changes one. TCP does not need it: a connection to another
// endpoint gets a reset.
//
//	err := conntrack.FlushStale(ctx, mappings, host.IsLocal) // ADD, after its elements are in the ruleset
//	err := conntrack.FlushOwn(ctx, mappings, host.IsLocal)   // DEL, after its elements are removed
//
// Destination NAT is decided by the first packet of a flow. A client that keeps
// sending from one port (a resolver, a SIP phone, syslog) keeps the decision in
// effect: to the host itself if the client sent before the port was published, or to
// a container that no longer exists.
//
// The kernel's filter of a dump (CTA_FILTER, Linux 5.8) only reduces the number of
// answers. Before 5.8 it is ignored without an error. It ignores the ports of SCTP;
// of IPv6 it returns the addresses that are not equal (measured on 6.18); and before
// 5.10.83 and 5.16 it applied the filter of the reply to the original direction. So
// queries use only the parts that every kernel applies correctly or not at all, and
// each answer is compared again here. A dump takes the kernel 5 ms even if it finds
// nothing: callers run it in parallel with other work.
package conntrack
