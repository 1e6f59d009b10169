// Package delegated tests IPAM plugins that are called for a network of Patchbay: the reference plugins, and scripts
// with invalid answers. It does not test the built-in IPAM; package verbs does.
package delegated
