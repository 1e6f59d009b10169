// Package podman tests the drop-in with the real Podman and its CNI backend: the network that its package ships, and networks that
// `podman network create` writes, both unmodified. Podman, conmon and runc are Debian's, unpacked under .cache/pkg/podman and not installed.
// It never touches a Podman of the machine.
package podman
