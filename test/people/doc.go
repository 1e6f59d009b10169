// Package people holds the commands for people to what they say: the built binary, in a host that
// is a namespace, with real namespaces, processes, bridges and terminals.
// It never looks inside the program.
package people
