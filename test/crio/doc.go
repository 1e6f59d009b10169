// Package crio owns the tests of ocicni, the library by which CRI-O calls plugins: pods on several networks, STATUS polled all the
// while, GC with every form of list, and a removal when the cache of results was torn or lost.
// It starts no CRI-O: Debian 12 has no package of it. What ocicni cannot be made to say, a list that is empty and not null, is said by
// libcni.
package crio
