// Package hostnames keeps the names of attachments in hosts files: /etc/netns/NAME/hosts, which `ip netns exec` mounts over
// /etc/hosts, a file for each LXC container that asked for one, and, if asked for, a block in the host's own /etc/hosts.
//
//	report, err := hostnames.Sync(ctx, hostnames.Options{StateDir: stateDir}) // after every change of an attachment
//	problems, err := hostnames.Check(attachments)                             // changes nothing
//
// Names have the named network namespaces that commands attached and the containers that LXC attached; attachments of a runtime
// have none. A namespace has the names of those that share a network with it. The files are made from the attachments alone, so
// Sync after a kill at any point makes them true.
//
// It never changes a line outside its block, never replaces a name that a file already has, and never writes into a
// container's file system.
//
// Files, in reading order: sync.go, plan.go, planhost.go, lxc.go, lines.go, member.go.
package hostnames
