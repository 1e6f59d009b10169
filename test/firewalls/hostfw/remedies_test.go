package hostfw

import (
	"strings"
	"testing"

	"github.com/patchbay-cni/patchbay/pkg/nettest"
)

// remedies returns the minimal commands that let through what a bridge needs: packets of its containers, replies, and packets with a translated
// destination, that is published ports. They survive a reload of the firewall, if it has one, and open no unpublished port.
func remedies() map[string][]string {
	bothWays := func(program, chain string) []string {
		return []string{
			program + " -I " + chain + " -i cni0 -j ACCEPT",
			program + " -I " + chain + " -o cni0 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT",
		}
	}
	return map[string][]string{
		"docker": bothWays("iptables", "DOCKER-USER"),
		"ufw": {
			"ufw route allow in on cni0",
			// ufw has no command for translated packets; the administrator edits before.rules.
			`sed -i 's/^\(-A ufw6\?-before-forward\) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT$/&\n\1 -o cni0 -m conntrack --ctstate DNAT -j ACCEPT/' /etc/ufw/before.rules /etc/ufw/before6.rules`,
			"ufw reload",
		},
		"firewalld": {
			"firewall-cmd --permanent --zone=trusted --add-interface=cni0",
			"firewall-cmd --reload",
		},
		"policy drop": {
			`nft insert rule inet filter forward iifname "cni0" accept`,
			`nft insert rule inet filter forward oifname "cni0" ct state established,related accept`,
			`nft insert rule inet filter forward oifname "cni0" ct status dnat accept`,
		},
		"legacy iptables": append(bothWays("iptables-legacy", "FORWARD"), bothWays("ip6tables-legacy", "FORWARD")...),
	}
}

// publish translates port 8080 of every host address to port 80 of web, as a table of another program would.
func (s *scene) publish(t *testing.T) {
	t.Helper()
	s.h.Run(t, "nft", "add table inet published; add chain inet published pre { type nat hook prerouting priority dstnat; }; "+
		"add rule inet published pre fib daddr type local meta nfproto ipv4 tcp dport 8080 dnat ip to 10.88.0.2:80; "+
		"add rule inet published pre fib daddr type local meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd00:88::2]:80; "+
		"add chain inet published post { type nat hook postrouting priority srcnat; }; "+
		"add rule inet published post iifname cni0 oifname cni0 ct status dnat masquerade")
	s.h.Baseline()
}

func TestRemedies(t *testing.T) {
	nettest.Need(t, nettest.BrNetfilter)
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			f := kind.Start(t, s.h)
			s.publish(t)
			barred(t, s.web.Netns, outsideAddrs()[0], 80)
			f.Shell(t, strings.Join(remedies()[kind.Name], "\n"))
			s.h.Baseline()
			for _, value := range []string{"0", "1"} {
				s.bridgeNetfilter(value)
				s.allowed(t, kind.IPv6)
			}
		})
	}
}

// allowed checks that every connection that a network with a published port needs works, and none to an unpublished port. Docker does not filter
// those over IPv6.
func (s *scene) allowed(t *testing.T, bars6 bool) {
	t.Helper()
	for i, web := range webAddrs() {
		connects(t, s.outside.Netns, hostAddrs()[i], 8080)
		connects(t, s.other.Netns, hostAddrs()[i], 8080)
		connects(t, s.web.Netns, outsideAddrs()[i], 80)
		connects(t, s.other.Netns, web, 80)
		if i == 0 || bars6 {
			barred(t, s.outside.Netns, web, 80)
		}
	}
}
