// Package pictures tests the pictures of `patchbay show`: the built binary, on a host that is a namespace, and the programs that
// read what it writes: dot of Graphviz, the parser of Mermaid, and a browser.
package pictures
