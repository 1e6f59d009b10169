// Package boot tests on a real boot: Debian 12 with systemd and its stock kernel, in a virtual machine whose eth0 leads to a router in a network
// namespace. `make test-boot` runs it.
package boot
