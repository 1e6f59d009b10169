// Package nft manages the nftables tables "inet patchbay" and "bridge patchbay":
// their skeleton, the chains of networks, and the elements of attachments. It speaks
// netlink; the program nft need not be installed. It must not change any other table
// and does not read state files.
//
//	rules, err := nft.Open()
//	err = rules.Publish(entry)             // ADD: one transaction that adds elements
//	err = rules.Build(entry, allEntries)   // after ErrNotBuilt: adds chains, or the whole table
//	missing, err := rules.Missing(entry)   // CHECK
//	err = rules.Withdraw(entry)            // DEL: removes the elements
//
// docs/ruleset.md, which a test writes, prints the tables. The skeleton and the
// chains of a network are shared by all attachments, added once and kept. Elements
// belong to one attachment: one for each address of the container, with the
// attachment's name as comment. Nothing else of an attachment is in the ruleset.
//
// Adding an element whose chain does not exist fails with ENOENT, and so does adding
// one to a table that does not exist. The name of a chain has a hash of its rules and
// of the skeleton's version. So ENOENT is the one answer to three cases: another
// program flushed the ruleset, the settings of the network are new, another version
// of Patchbay built the table. Build finds out which; Publish does not have to read
// anything.
//
// Two properties of the kernel shape the package. A transaction that only adds
// elements returns at once, but one that removes something, or declares an existing
// base chain again, makes close(2) wait for an RCU grace period, 10 ms and more: so
// ADD adds elements and nothing else. And a transaction fails as a whole if one
// element exists already (NLM_F_EXCL) or does not exist: so an attachment cannot take
// over the element of another by accident, and removals are retried.
package nft
