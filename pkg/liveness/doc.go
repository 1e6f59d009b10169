// Package liveness decides which attachments are live, from their records and the interfaces of the host.
//
//	checker := liveness.New(host)
//	if checker.IsStale(record) { ... }              // its host interface does not exist any more
//	records, err := liveness.Records(stateDir)      // of all attachments of the host
//	live := liveness.Live(host, records)
//
// An attachment is stale if its host interface certainly does not exist. Whatever cannot be looked up counts as live, because
// the addresses of a stale attachment are given to others. The package changes nothing.
//
// A caller that acts on the answer holds the lock of the record, or asks again when it does: a record that another process
// has locked belongs to a verb that is running.
//
// Files, in reading order: records.go, bridgemac.go, checker.go, hostinterface.go.
package liveness
