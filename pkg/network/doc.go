// Package network creates, lists and removes network configurations: files that runtimes and
// the commands of patchbay read.
//
// It must not create bridges or attachments: the first ADD creates the bridge.
//
//	text, err := network.Plan(dir, network.Spec{Name: "lab"})
//	created, err := network.Create("/etc/cni/net.d", network.Spec{Name: "lab", IPv6: true})
//	all, err := network.List("/etc/cni/net.d")
//	err = network.Remove("/etc/cni/net.d", "lab")
//
// Constraints:
//
//   - The file is a plain list of libcni with the member "createdBy", which libcni ignores.
//     Remove deletes only files that have it.
//   - Name, subnets and bridge are compared with every file of the directory, also of other
//     plugins, and with the routes and interfaces of the host, while the directory is locked:
//     two calls at once do not choose the same subnet.
//   - The file is written under another name, synchronized and linked to its name, which fails
//     if that exists: a runtime never reads half of it, and no file is replaced.
//
// Files, in reading order: create.go, choose.go, remove.go, list.go, conflist.go, dir.go,
// spec.go.
package network
