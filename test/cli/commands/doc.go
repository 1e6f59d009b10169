// Package commands tests the commands: the built binary, on a host that is a namespace, with real namespaces,
// processes, bridges and terminals.
package commands
