// Package bandwidth limits the rate of a container's traffic by traffic control (tc(8)): token buckets on its host interface and on an
// ifb device. It also joins a tap with a container interface, by redirection of frames. It must not know the CNI verbs, read or write state files, or change addresses or routes of the container.
//
//	spec := bandwidth.Spec{Ingress: bandwidth.Rate{Rate: 10e6}, Device: "ifb0", Alias: alias, Mark: mark}
//	err := bandwidth.Limit(host, spec)          // of a host interface
//	differences, err := bandwidth.Check(host, spec)
//	restored, err := bandwidth.Restore(host, spec)
//	err = bandwidth.Remove(host, spec)          // only if the host interface stays
//
// Ingress and egress are the container's: ingress is what it receives. A shaper needs a queue, which the kernel has where an interface
// sends. What the container receives waits in the queue of the host interface. What it sends arrives at the host interface, where there
// is no queue; its own interface has one, but that can be changed from inside, with CAP_NET_ADMIN. So these packets are redirected to an
// ifb device. docs/bandwidth.md compares this with forms that need no device.
//
// All functions work in the network namespace of the calling thread, each with a socket of its own.
//
// Files, in reading order: commands.go, limit.go, redirect.go, spec.go, qdisc.go, filter.go, device.go, message.go, reference.go.
package bandwidth
