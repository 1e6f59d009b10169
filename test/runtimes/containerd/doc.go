// Package containerd tests the built binary with the real containerd: pod sandboxes through its CRI, containers
// through ctr, on a host that is a namespace. containerd, runc and busybox are Debian's, unpacked under
// .cache/pkg/containerd and not installed; the loopback and portmap plugins are the reference's. It never touches a
// containerd of the machine.
package containerd
