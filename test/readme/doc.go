// Package readme runs the transcripts of README.md, the blocks of ```console, in a host that is a
// namespace, and compares what is printed with what README says.
// It never knows what they are about.
package readme
