// Package security tests the access of the built binary: modes and owners of state, symbolic links in place of state, the paths that it writes, the
// capabilities that it needs, and operation in a user namespace instead of as root.
// The verbs themselves are tested in package verbs.
package security
