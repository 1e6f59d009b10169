// Package install tests `patchbay install` and `patchbay uninstall` with the built binary, on directories of its own. It
// attaches no container; test/runtimes/lists does that with an installed drop-in.
package install
