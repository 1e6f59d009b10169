// Package conformance checks a CNI plugin from outside: by its exit status, what it prints, and the state of the kernel.
//
// A check is one sentence of the specification, of its conventions, or of common practice; Level says which. Run runs
// checks, each on a host of package nettest, and returns one outcome for each. The package knows no plugin: a Profile is
// a file that says how to configure the one under test, and what it supports.
//
//	p, err := conformance.LoadProfile("reference-bridge")
//	outcomes, err := conformance.Run(conformance.Options{Profile: p, Plugin: "/opt/cni/bin/bridge"})
//
// Constraints:
//
//   - It requires root, and changes nothing of the machine's network.
//   - A check that the profile, the plugin's versions or the kernel make meaningless is not applicable, with the reason.
//   - The text of an outcome is the same in each run, because pages are generated from it.
package conformance
