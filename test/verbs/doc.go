// Package verbs owns the black box tests of the CNI verbs: the built binary, called as a runtime
// calls it, on hosts in namespaces, and then the kernel asked what there is.
// It never looks into the plugin and tells nothing about bad input, which has a table of its own.
package verbs
