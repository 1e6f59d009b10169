// Package delegate runs a delegated IPAM plugin (CNI SPEC section 4). It is the only
// program that a verb starts.
//
// It does not interpret configurations or results, and does not decide what an error
// of the plugin means for the verb.
//
//	plugin, err := delegate.Find("dhcp", os.Getenv("CNI_PATH"))
//	stdout, err := plugin.Call(ctx, "ADD", stdin)
//
// Constraints:
//
//   - The kernel kills the child when this process dies (Pdeathsig, prctl(2)). A runtime
//     kills only this process, and a plugin that continued could reserve an address
//     after the DEL.
//   - The child is killed at its deadline and when ctx ends.
//   - Processes that the plugin starts are not killed or waited for, even if they keep
//     its stdout or stderr open.
package delegate
