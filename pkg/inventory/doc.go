// Package inventory reads what this host has: the records of every state directory, the kernel's
// interfaces and the ruleset, each once, and joins them. The commands ls, ports, show, inspect and doctor
// are views of one Inventory.
// It changes nothing, enters no network namespace, and prints nothing.
//
//	inv := inventory.New("/run/patchbay")
//	attachments, err := inv.Attachments("")  // the table of ls
//
// An Inventory is not one moment: its parts are read when first asked for, one after another, while
// attachments come and go. A caller who reports a difference as a problem compares with Reread first.
//
// GC does not take its candidates from here: it also needs address files without a record, and continues when one source cannot be
// read. pkg/attach reads the sources for itself, in gc_candidates.go.
//
// inventory.go reads, join.go joins, attachment.go and ports.go hold what ls and ports print.
package inventory
