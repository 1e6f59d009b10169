// Package lists runs network configurations of public projects, unmodified, with the drop-in that `patchbay install`
// has put in the place of the reference plugins. testdata has them as the projects ship them; sources.go says where they are
// from, and what a project fills in on a node. The callers themselves are tested in the other folders of test/runtimes.
package lists
