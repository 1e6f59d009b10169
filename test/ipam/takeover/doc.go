// Package takeover tests a node on which the reference's bridge and host-local plugins and Patchbay serve one network
// with one data directory, before and after a reboot. Whichever plugin assigned an address, it is not assigned twice
// or lost, and a caller releases only its own. The package does not test the form of a single file; test/verbs does.
package takeover
