module github.com/patchbay-cni/patchbay/test/runtimes/flannel/plugin

go 1.26.0

// The plugin of flannel, in a module of its own because a module has one version of another. Its repository since 2021,
// flannel-io/cni-plugin, cannot be had as a Go module: this is the last version before, with the library of version 1.9.1.
// scripts/lib.sh builds it into .cache/bin.
tool github.com/containernetworking/plugins/plugins/meta/flannel

require (
	github.com/containernetworking/cni v1.3.0 // indirect
	github.com/containernetworking/plugins v0.9.1 // indirect
	github.com/vishvananda/netns v0.0.4 // indirect
	golang.org/x/sys v0.23.0 // indirect
)
