// Package explain turns an attachment into the commands of ip(8), bridge(8), sysctl(8), tc(8) and nft(8) that make its state, in the order in
// which ADD makes it: of one that exists, or of one that the next ADD would make.
// It changes nothing, takes no locks, and does not print.
//
//	plan, err := explain.OfNetwork(preview, explain.Netns{Word: "c1"})   // what attach.Look returned
//	plan, err = explain.OfAttachment(record)                             // of an attachment that exists
//	for _, step := range plan.Steps() { ... }
//	script, err := explain.Script(head, steps, plan.Unprinted)
//
// What is sent to the kernel is written down once, in pkg/link, pkg/bandwidth and pkg/nft: this package asks them for names, values and
// rules. test/network/explain runs the commands on one host and compares it with another one on which ADD ran.
//
// Constraints: commands cannot do everything that one message of netlink does. Between two commands there is a moment with half of the
// state, and ip(8) before version 6.3 cannot mark an address with the protocol by which Patchbay knows its own gateway addresses.
//
// Files, in reading order: attachment.go, network.go, steps.go, stepbridge.go, stepveth.go, steppublish.go, stepup.go, stepsbr.go, steptap.go, removal.go, draw.go, follow.go, plan.go, command.go.
package explain
