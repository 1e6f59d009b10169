// Package cluster plans what one node of a Kubernetes cluster needs so that its pods and those of all other nodes reach each other: a route
// to the pod CIDR of each other node, directly or through a VXLAN device with static entries, and the network configuration of this one.
//
// It does no I/O, has no clock, and knows neither the kernel nor the API server: Node objects and facts about the host go in, a Plan comes
// out. Two calls with the same input, in any order of the nodes, have the same result, byte for byte.
//
//	c, err := cluster.ParseConfig(text)                        // from the ConfigMap
//	plan := c.Plan(nodes, cluster.Host{Name: "node-1", MTU: 1500})
//	changes := cluster.Compare(plan.Routes, installed)         // add first, delete last
//	if guard.Hold(changes.Gone, installed, clock) { ... }      // most routes would go at once: not yet
//	entries := cluster.CompareEntries(device.Entries, found, stay) // of a device of the overlay
//
// Rules:
//
//   - A plan is made of all nodes. An event about one node says nothing: a list after a long disconnection brings the creations first and
//     the deletions last, so a deletion may concern a CIDR that another node has by then.
//   - Two nodes with overlapping CIDRs: the older one (creationTimestamp, then uid) has the route, and the younger one is a problem
//     that is reported. That it goes changes nothing.
//   - Routes lead into clusterCIDRs only, and never to what this node itself has.
//   - What a node has in the overlay follows from its InternalIP and its CIDRs, which all nodes know. No node publishes anything.
//   - masqExclude does not depend on the nodes: it is part of the records of attachments.
package cluster
