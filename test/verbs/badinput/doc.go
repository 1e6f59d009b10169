// Package badinput tests the calls that the plugin must refuse: a row for each key and each kind of mistake, with the
// error code and the exact message.
//
// Each row runs on a host of its own kind (nettest.Host) and must leave the host exactly as it was: links, addresses, routes,
// sysctls, processes and state files. The answer must be one JSON document on stdout, exit status 1, and nothing on stderr.
package badinput
