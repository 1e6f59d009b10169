// Package ruleset turns the record of an attachment into what the packet filter needs for it: elements of nftables (masquerading,
// published ports, isolation, spoof check), the end of flows that the kernel still tracks for its ports, and with
// `"firewall": "auto"` two rules in the chain of docker.
//
//	rules, err := ruleset.Open(host)
//	err = rules.Publish(ctx, record, stateDir, dataDir)
//	...
//	err = ruleset.Withdraw(record)
//
// It is the only package of the verbs that calls pkg/nft, pkg/conntrack and pkg/firewall. It never writes a record, never changes
// an interface but for route_localnet, and runs no program.
//
// Constraints: Lock is one lock for the whole host. A process that adds or removes elements holds it shared. A process
// that rebuilds or sweeps the table holds it exclusively: it has listed the live attachments, and would drop or restore the elements
// of an attachment that is added or removed meanwhile. DEL therefore holds it until both interface and elements are removed.
//
// Files, in reading order: publish.go, sibling.go, withdraw.go, rebuild.go, sweep.go, delete.go, look.go, script.go, firewall.go, entries.go, entry.go, flows.go,
// lock.go, owner.go.
package ruleset
