// Package nodeconf reads the configuration of the programs that change networks on a host (systemd-networkd,
// NetworkManager, firewalld, ufw, docker, nftables.service, systemd-sysctl, udev), and reports what they will undo of
// Patchbay's, and when. It reads files and /proc. It must not write, start or ask any program.
//
//	risks := nodeconf.Risks(nodeconf.Host{Bridges: bridges})
//
// A risk is no fault: everything may work now. table lists the programs; each other file has the checks of some.
package nodeconf
