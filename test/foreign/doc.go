// Package foreign shows that any IPAM plugin gives addresses to a network of ours: the reference ones, and bad ones made up
// here. It never tests the built-in IPAM; package verbs does.
package foreign
