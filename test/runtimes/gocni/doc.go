// Package gocni tests the built binary with go-cni, the library by which containerd, ctr and nerdctl call plugins,
// with several networks at once. It does not start containerd; test/runtimes/containerd does.
package gocni
