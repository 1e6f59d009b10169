// Package gocni owns the tests of go-cni, the library by which containerd, ctr and nerdctl call plugins: its own calls, with several
// networks at once, of the built binary.
// It starts no containerd; test/containerd does.
package gocni
