// Package diagram writes the View of package topo as a picture, SVG or HTML, and as a graph that other programs draw: Mermaid and Graphviz DOT.
// It reads nothing of the host, and changes nothing.
//
//	view, err := topo.Gather(inventory.New(stateDir), topo.Options{})
//	err = diagram.Mermaid(os.Stdout, diagram.Of(view))
//
// Every text of a Diagram may come from others: names of interfaces, namespaces, pods and networks, and aliases. The model has them with
// control characters escaped (package printable), and each format escapes what is syntax there; TestHostileNames has the names.
//
// A CNI verb links this package and must not pay for it: it has no variables that are computed when the program starts, and writes without
// templates.
//
// model.go has the boxes and lines, of.go, host.go and container.go make them of a View, cluster.go of what patchbay-agent has written about
// the nodes of a cluster. mermaid.go and dot.go write graphs; measure.go and
// layout.go compute the places of a picture, which svg.go writes and html.go makes a page of.
package diagram
