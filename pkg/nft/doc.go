// Package nft owns the nftables table "inet patchbay": its skeleton, the chains of networks, and
// the elements of attachments. It is the only room that speaks nftables, and speaks it over
// netlink: no nft program is needed.
// It never touches another table, edits a rule of somebody else's, or reads a state file.
//
//	rules, err := nft.Open()                // one socket in the host
//	err = rules.Publish(entry)              // one transaction of elements: what an ADD does
//	err = rules.Build(entry, everybody)     // what was missing for it: chains, or the whole table
//	lost, err := rules.Missing(entry)       // for CHECK
//	err = rules.Withdraw(entry)             // what a DEL does; what is gone is no error
//
// What the table looks like is in conf/ruleset.md, which a test writes. The skeleton and a
// network's chains are scaffolding: made once, shared, and left. Elements are exact: one per
// address of a container, with the container's name as its comment, and nothing else of an
// attachment is in the ruleset.
//
// Be aware: an element whose chain is not there is refused by the kernel with ENOENT, and so is one
// for a table that is not there. A chain's name carries a hash of its rules and of the skeleton's
// version, so that one answer stands for "somebody has flushed the ruleset", "this network's
// settings are new" and "another version of patchbay built this table"; Build finds out which.
package nft
