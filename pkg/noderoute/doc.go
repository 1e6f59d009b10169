// Package noderoute reads and writes the routes to the pods of other nodes, by rtnetlink: those of the main table with protocol 112. No
// other route is ever replaced or deleted, whatever its destination.
//
//	t, err := noderoute.Open()
//	routes, err := t.List()                        // one dump for each family, filtered by the kernel
//	err = t.Add(Route{Dst: dst, Via: via})         // ErrTaken: another program has a route to dst
//	err = t.AddBeside(route)                       // where List has one by another gateway
//	err = t.Delete(route)
//
// It is a package beside pkg/link because the plugin must not have it: a verb of CNI never touches a route to another node, and what
// does not import this package cannot. pkg/link is about one container and its bridge.
//
// Constraints:
//
//   - A route is moved to another gateway by adding the new one and then deleting the old one, never by NLM_F_REPLACE: that takes the
//     first route with the same destination and metric, whose protocol it does not compare.
//   - All routes have the metric that a route without one gets, so that a route which an administrator adds to the same destination is
//     a conflict that is reported, and not a second route that is silently preferred or ignored.
package noderoute
