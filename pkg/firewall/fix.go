package firewall

import (
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Chains of docker in table filter of iptables: DOCKER-USER, which it creates for the
// rules of others and does not change, and DOCKER.
const (
	userChain   = "DOCKER-USER"
	dockerChain = "DOCKER"
)

// situation is what a fix depends on: the bridge, the base chain, and the other
// chains.
type situation struct {
	bridge string
	base   chain
	chains []chain
	toUser bool // the base chain jumps to DOCKER-USER; without docker the chain may be left over
}

// by returns the program that created the base chain.
//
// At prerouting and input the names of chains are more specific than the table: docker and kube-proxy have chains in tables of
// iptables which others use too.
func (s situation) by(chain string) string {
	switch {
	case s.base.isLegacy:
		return "iptables-legacy"
	case s.base.table == "firewalld":
		return "firewalld"
	case s.base.table == "docker-bridges": // docker 29 with nftables
		return "docker"
	case s.base.table == "kube-proxy":
		return "kube-proxy"
	case !s.isIptables():
		return ""
	case s.base.hook == prerouting && strings.HasPrefix(chain, "KUBE-"):
		return "kube-proxy"
	case s.base.hook == prerouting && strings.HasPrefix(chain, "CNI-"):
		return "portmap of the reference plugins"
	case s.base.hook == prerouting && !strings.HasPrefix(chain, dockerChain):
		return "iptables"
	case s.base.hook != input && s.has(func(name string) bool { return name == userChain || name == dockerChain }):
		return "docker"
	case s.has(func(name string) bool { return strings.HasPrefix(name, "ufw-") || strings.HasPrefix(name, "ufw6-") }):
		return "ufw"
	default:
		return "iptables"
	}
}

// isIptables reports whether the base chain is one of iptables. nft(8) must not write
// there.
func (s situation) isIptables() bool {
	names := map[hook]string{forward: "FORWARD", input: "INPUT", prerouting: "PREROUTING"}
	isTable := s.base.table == "filter" || s.base.hook == prerouting && slices.Contains([]string{"raw", "mangle", "nat"}, s.base.table)
	return isTable && s.base.name == names[s.base.hook] && familyName(s.base.family) != "inet"
}

// has reports whether the table of the base chain has a chain with such a name.
func (s situation) has(is func(name string) bool) bool {
	return slices.ContainsFunc(s.chains, func(c chain) bool {
		return c.isLegacy == s.base.isLegacy && c.family == s.base.family && c.table == s.base.table && is(c.name)
	})
}

// fix returns the commands that let such a packet pass and no more than that. If a
// name that another program chose is not a plain word, it returns a comment that says
// so.
func (s situation) fix(by string, p packet) string {
	if refusal := printable.Refusal(s.bridge, s.base.table, s.base.name); refusal != "" {
		return refusal
	}
	if s.base.hook != forward || p.about != (Subject{}) {
		return s.narrowFix(by, p)
	}
	isFrom := p.iif.isBridge
	switch by {
	case "firewalld":
		return firewalldFix(s.bridge)
	case "ufw":
		return ufwFix(s.bridge, isFrom)
	}
	if !s.isIptables() {
		return s.nftFix(p, isFrom)
	}
	return iptablesFix(s.program(), s.chain(), s.bridge, isFrom)
}

// program returns the variant of iptables(8) that writes to the base chain.
func (s situation) program() string {
	program := "iptables"
	if familyName(s.base.family) == "ip6" {
		program = "ip6tables"
	}
	if s.base.isLegacy {
		program += "-legacy"
	}
	return program
}

// chain returns the chain that rules are added to: the base chain, or docker's for the rules of others.
func (s situation) chain() string {
	if s.toUser && s.base.hook == forward {
		return userChain
	}
	return s.base.name
}

// firewalldFix assigns the bridge to zone trusted. Replies and redirected packets
// pass anyway.
func firewalldFix(bridge string) string {
	return printable.Command("firewall-cmd", "--permanent", "--zone=trusted", "--add-interface="+bridge) + "\nfirewall-cmd --reload"
}

// ufwFix uses ufw's command where there is one. For redirected packets it adds a line
// to the files that ufw leaves to the administrator: `ufw route allow out on` would
// open every port of every container.
func ufwFix(bridge string, isFrom bool) string {
	if isFrom {
		return printable.Command("ufw", "route", "allow", "in", "on", printable.Name(bridge))
	}
	line := `\1 -o ` + bridge + ` -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT`
	return printable.Command("sed", "-i", `s/^\(-A ufw6\?-before-forward\) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT$/&\n`+line+`/`,
		"/etc/ufw/before.rules", "/etc/ufw/before6.rules") + "\nufw reload"
}

// iptablesFix is for iptables, ip6tables and their legacy variants. The rule towards
// the bridge is that of Allow: replies and published ports, not unsolicited packets.
func iptablesFix(program, chain, bridge string, isFrom bool) string {
	insert := []string{program, "-I", printable.Name(chain)}
	if isFrom {
		return printable.Command(append(insert, "-i", printable.Name(bridge), "-j", "ACCEPT")...)
	}
	return printable.Command(append(insert, "-o", printable.Name(bridge), "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT")...)
}

// nftFix quotes the whole statement for the shell, so that nft(8) sees the quotes of
// the name: without them it takes some names for a number or a keyword.
func (s situation) nftFix(p packet, isFrom bool) string {
	insert := "insert rule " + familyName(s.base.family) + " " + s.base.table + " " + s.base.name
	name := strconv.Quote(s.bridge)
	switch {
	case isFrom:
		insert += " iifname " + name + " accept"
	case p.isAnswer:
		insert += " oifname " + name + " ct state established,related accept"
	default:
		insert += " oifname " + name + " ct status dnat accept"
	}
	return printable.Command("nft", insert)
}
