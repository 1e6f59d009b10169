// Package delegate owns the one program that a verb may start: an IPAM plugin that is not this one, found and called as
// CNI SPEC.md section 4 (delegated plugins) has it.
// It never understands a configuration or a result, and never decides what follows from an answer.
//
//	plugin, err := delegate.Find("dhcp", os.Getenv("CNI_PATH"))
//	stdout, err := plugin.Call(ctx, "ADD", stdin)
//
// Be aware: the child dies with us (Pdeathsig), because a runtime whose patience ends kills us alone, and an IPAM plugin that
// goes on would reserve an address after our DEL. It is killed at a deadline and when ctx ends. Programs that it has started
// itself are not ours to kill, and we do not wait for them, even if they keep its outputs open.
package delegate
