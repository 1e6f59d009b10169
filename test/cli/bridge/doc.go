// Package bridge tests `patchbay bridge`: a host with one interface and one router, whose addresses, routes and rules move to a bridge and
// back while traffic continues, and every way in which the command can end.
package bridge
