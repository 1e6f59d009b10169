// Package hostfw runs common host firewalls on a host of nettest: Docker, ufw, firewalld, a hand-written nftables table, legacy iptables; and
// tests that they drop packets. Docker, ufw and firewalld are Debian packages, unpacked under .cache/pkg and not installed. The package does not
// edit rules of a firewall, and does not touch the firewall of the machine.
//
//	h := nettest.Host(t)
//	fw := hostfw.StartUFW(t, h)
//	fw.Shell(t, "ufw route allow in on cni0")
//
// A firewall is part of the baseline of the host (see nettest.Node.Baseline): start it before the first attachment. Its programs end with the
// test; its rules are deleted with the host's namespace.
package hostfw
