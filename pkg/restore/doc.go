// Package restore restores the host whenever another program has removed what the records of attachments say: rules, bridge
// ports, bridges and their addresses, forwarding; and when docker creates the chain in which Patchbay has rules. `patchbay reload --watch` runs it as a service.
//
//	err := restore.Run(ctx, restore.Options{StateDir: "/run/patchbay", Report: func(line string) { fmt.Println(line) }})
//
// It does not decide what to restore, which is pkg/upkeep's, and does not react to what Patchbay itself changes: a
// transaction of nftables names its program, and a change of interfaces leads to a look that finds nothing missing.
// It acts a tenth of a second after a change, and not more than three times in three seconds.
//
// The kernel does not notify a ruleset of iptables-legacy, and sysctls other than forwarding.
//
// run.go has the loop, cause.go which transactions are a reason, events.go the subscriptions.
package restore
