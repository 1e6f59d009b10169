// Package chained implements the CNI verbs of the plugins that follow a main plugin in a list and extend its result (CNI SPEC.md
// section 4, prevResult): portmap, firewall, tuning, bandwidth and sbr of the reference plugins.
//
//	plugin, ok := chained.Of("portmap")
//	err := plugin.Add(ctx, req, os.Stdout)
//
// Each keeps to the record of its attachment. If the main plugin is Patchbay's bridge, the plugin extends that record, under its lock;
// otherwise it writes one with the role store.RolePart, which liveness, GC and the commands understand. What the record has, the DEL of
// the main plugin removes too, so that a list of which a plugin was removed leaves nothing.
//
// Constraints: prevResult is the runtime's copy and only a hint. The container interface, its other end on the host and the bridge
// of that are looked up in the kernel, and nothing is changed on any other interface. DEL needs neither network namespace nor
// prevResult: the record has all that it removes.
//
// Files, in reading order: plugins.go, portmap.go, firewall.go, bandwidth.go, tuning.go, sbr.go, add.go, result.go, check.go, del.go,
// record.go, ends.go, part.go, errors.go.
package chained
