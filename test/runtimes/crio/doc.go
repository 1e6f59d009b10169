// Package crio tests the built binary with ocicni, the library of CRI-O that calls plugins: pods on several networks,
// STATUS polled meanwhile, GC with every form of list, and removals with a damaged or lost cache of results. It does
// not start CRI-O, of which Debian 12 has no package. ocicni cannot pass a list that is empty and not null; libcni
// does.
package crio
