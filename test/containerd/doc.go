// Package containerd owns the tests in which the real containerd calls the built binary: pod sandboxes by its CRI, containers by
// ctr, on a host that is a namespace. containerd, runc and busybox are Debian's, unpacked under .cache/pkg/containerd and not installed;
// the loopback and portmap plugins are the reference's.
// It never stands in for containerd, and never touches a containerd of the machine.
package containerd
