// Package topo draws the picture of `patchbay show`: bridges, veth pairs, network namespaces and published
// ports, from the inventory and the inside of the namespaces.
// It changes nothing. Package inventory reads records, interfaces and rules for it.
//
//	view, err := topo.Gather(inventory.New(stateDir), topo.Options{})
//	err = topo.Draw(os.Stdout, view, topo.Style{Width: 80})
//
// A View holds what exists and, where the records say something else, a problem as a sentence. What does not
// exist is not drawn, so that the picture grows with the host.
//
// A View is not one moment: records, interfaces and namespaces are read one after another, while attachments
// are added and deleted. So the records are read before and after the kernel, and a difference is a problem
// only if both readings have it.
//
// view.go holds what is drawn; gather.go, snapshot.go, attachments.go and drift.go fill it; draw.go draws it in one of
// two layouts, wide.go and narrow.go, with boxes.go, pods.go, ports.go, names.go and canvas.go; screen.go draws it again
// and again. facts.go is for package diagram, which draws the same View in other formats.
package topo
