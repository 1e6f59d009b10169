// Package upkeep implements what an administrator does for all attachments of a host: Reload restores bridges, bridge ports and
// rules from the records, Clean removes attachments whose network namespace no longer exists, of every owner, and Purge what is left.
//
//	done, err := upkeep.Reload(ctx, stateDir) // one sentence for each thing that it restored
//	done, err := upkeep.Clean(ctx, upkeep.CleanOptions{StateDir: stateDir, DryRun: true})
//	done, err := upkeep.Purge(ctx, upkeep.PurgeOptions{StateDir: stateDir}) // the caller has made sure that no attachment is live
//
// It never changes a container, never moves an interface that is a port of another bridge, and removes only attachments that
// pkg/liveness reports as stale. It continues after errors and joins them.
//
// Files, in reading order: reload.go, vlan.go, bandwidth.go, purge.go, clean.go.
package upkeep
