// Package verbs owns the black box tests of the CNI verbs: the built binary, called as a runtime
// calls it, on hosts in namespaces, and then the kernel asked what there is.
// It never looks into the plugin and does not cover invalid input, which is in package badinput.
package verbs
