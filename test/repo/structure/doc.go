// Package structure holds the tests of the repository's own form: who imports whom, what the binary links, how long things are, what the scripts install.
// It never runs the plugin, needs no root, and reads the tree and the go tool only.
//
// The rules are tables at the top of each file, every ban with its reason; a rule is a function of plain data,
// so that each is also tried on something that breaks it.
package structure
