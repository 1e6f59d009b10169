// Package hostfw runs the firewalls that other people's hosts have on a host of nettest: Docker, ufw, firewalld, a hand-written
// table of nftables, legacy iptables; and shows that they drop. Docker, ufw and firewalld are Debian's, unpacked under .cache/pkg
// and not installed. It never edits what a firewall has made, and never touches one of the machine.
//
//	h := nettest.Host(t)
//	fw := hostfw.StartUFW(t, h)
//	fw.Shell(t, "ufw route allow in on cni0")
//
// A firewall is part of the host's first picture (see nettest.Node.Baseline): start it before the first attachment. Its programs
// end with the test; its rules stay, and end with the host's namespace.
package hostfw
