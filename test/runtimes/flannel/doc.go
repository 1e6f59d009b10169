// Package flannel tests the drop-in with the plugin of flannel as its caller: flannel reads the subnet of the node,
// and calls `bridge` with a configuration that the list does not have. The lists are those of k3s and of flannel's
// own manifest.
//
// The plugin is that of the reference plugins v0.9.1, the last version before it moved to flannel-io/cni-plugin, built
// with the library of that repository's v1.9.1, which cannot be had as a Go module. They differ in messages, in networks
// of several subnets, and in the fsync of a file. flanneld is not run: the tests write its file and its routes.
package flannel
