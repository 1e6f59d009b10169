// Package badinput holds the table of what the built plugin must refuse: a row for each key and each kind of mistake, with the
// code and the exact message as literals.
// It never tests what a good call does; where a row of it passes, the row says what makes the call good.
//
// Each row runs on a host of its own kind (nettest.Host) and must leave the host exactly as it was: links, addresses, routes,
// sysctls, processes and state files. The answer must be one JSON document on stdout, exit status 1, and nothing on stderr.
package badinput
