package firewall

import (
	"slices"
	"strconv"
	"strings"
)

// The chains of docker in table filter of iptables: the one that it makes for the rules of others,
// and leaves alone; and the one it always has.
const (
	userChain   = "DOCKER-USER"
	dockerChain = "DOCKER"
)

// scene is what a fix depends on: the bridge, the chain of the hook, and what else there is.
type scene struct {
	bridge string
	base   chain
	chains []chain
	toUser bool // the base chain leads to docker's chain for others; one that is left over leads nowhere
}

// by says who made the chain of the hook.
func (s scene) by() string {
	switch {
	case s.base.isLegacy:
		return "iptables-legacy"
	case s.base.table == "firewalld":
		return "firewalld"
	case s.base.table == "docker-bridges": // docker 29 with nftables
		return "docker"
	case !s.isIptables():
		return ""
	case s.has(func(name string) bool { return name == userChain || name == dockerChain }):
		return "docker"
	case s.has(func(name string) bool { return strings.HasPrefix(name, "ufw-") || strings.HasPrefix(name, "ufw6-") }):
		return "ufw"
	default:
		return "iptables"
	}
}

// isIptables: the table and the chain that `iptables -P FORWARD` is about. nft(8) must not write there.
func (s scene) isIptables() bool {
	return s.base.table == "filter" && s.base.name == "FORWARD" && familyName(s.base.family) != "inet"
}

// has looks for a chain in the table.
func (s scene) has(is func(name string) bool) bool {
	return slices.ContainsFunc(s.chains, func(c chain) bool {
		return c.isLegacy == s.base.isLegacy && c.family == s.base.family && c.table == s.base.table && is(c.name)
	})
}

// fix are the commands that let such a packet pass, and no more than that.
func (s scene) fix(by string, p packet) string {
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
	program, chain := "iptables", s.base.name
	if familyName(s.base.family) == "ip6" {
		program = "ip6tables"
	}
	if s.base.isLegacy {
		program += "-legacy"
	}
	if s.toUser {
		chain = userChain
	}
	return iptablesFix(program, chain, s.bridge, isFrom)
}

// firewalldFix: a zone that trusts the bridge; what comes back and what is redirected passes anyway.
func firewalldFix(bridge string) string {
	return "firewall-cmd --permanent --zone=trusted --add-interface=" + quoted(bridge) + "\nfirewall-cmd --reload"
}

// ufwFix: what ufw has a command for, and for what is redirected a line in the file that it leaves to
// people: `ufw route allow out on` would open every port of every container.
func ufwFix(bridge string, isFrom bool) string {
	if isFrom {
		return "ufw route allow in on " + quoted(bridge)
	}
	line := `\1 -o ` + bridge + ` -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT`
	return `sed -i ` + quoted(`s/^\(-A ufw6\?-before-forward\) -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT$/&\n`+line+`/`) +
		" /etc/ufw/before.rules /etc/ufw/before6.rules\nufw reload"
}

// iptablesFix is of iptables, ip6tables or their legacy form. The second rule is that of Allow: answers
// and published ports, but not what nobody asked for.
func iptablesFix(program, chain, bridge string, isFrom bool) string {
	insert := program + " -I " + chain
	if isFrom {
		return insert + " -i " + quoted(bridge) + " -j ACCEPT"
	}
	return insert + " -o " + quoted(bridge) + " -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"
}

// nftFix quotes the whole for the shell, so that nft(8) sees the quotes of the name: without them
// there are names that it takes for a number or a word of its own.
func (s scene) nftFix(p packet, isFrom bool) string {
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
	return "nft " + quoted(insert)
}

// quoted is a word for the shell.
func quoted(word string) string {
	isPlain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.@:+", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !isPlain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
