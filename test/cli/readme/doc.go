// Package readme tests README.md and the pages of docs/: it runs their transcripts, the blocks of
// ```console, in a host that is a namespace, and compares the output.
package readme
