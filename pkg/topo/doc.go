// Package topo owns the picture: what is patched into which bridge, read from the kernel and
// the records and drawn for a person.
// It never changes anything and decides nothing.
//
//	view, err := topo.Gather(stateDir, topo.Options{})
//	err = topo.Draw(os.Stdout, view, topo.Style{Width: 80})
//
// A View holds what is there and, where the records say something else, a problem in words.
// What is not there is not drawn, so that the picture grows with the host: a host alone, then
// a bridge, an uplink, a namespace, a cable, addresses, a default route.
//
// Be aware: a View is not one moment. Records, links and namespaces are read one after the
// other, while attachments come and go. So the records are read twice, before and after the
// kernel, and a difference is a problem only if both readings have it.
package topo
