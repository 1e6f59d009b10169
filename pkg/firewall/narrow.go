package firewall

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// narrowFix returns the commands that let the packets of one attachment, or those to the host, pass. A rule for one
// address or port may be intended, and so may a translation: then the commands are comments.
func (s situation) narrowFix(by string, p packet) string {
	terms := s.terms(p)
	switch {
	case s.base.hook == prerouting && by == "":
		return s.intended(p, s.nftNarrow(terms))
	case s.base.hook == prerouting:
		return s.intended(p, s.iptablesNarrow(terms))
	case by == "firewalld" && p.iif.isBridge:
		return firewalldFix(s.bridge)
	case by == "firewalld":
		return "# find the rule and remove it: firewall-cmd --list-all-zones; firewall-cmd --list-all-policies"
	case by == "ufw" && p.what == Asking:
		return printable.Command("ufw", "prepend", "allow", "in", "on", printable.Name(s.bridge), "to", "any", "port", strconv.Itoa(int(p.service.Port)), "proto", protocolName(p.service.Protocol))
	case by == "ufw" && s.base.hook == forward:
		return ufwFix(s.bridge, p.iif.isBridge)
	case s.isIptables():
		return s.iptablesNarrow(terms)
	}
	return s.nftNarrow(terms)
}

// intended returns what gives a published port to Patchbay. Only the administrator knows which program must have it.
func (s situation) intended(p packet, command string) string {
	if p.what == Arriving && s.base.isNAT {
		return "# publish one of the two at another host port; or, so that Patchbay's is used: " + command
	}
	return command
}

// terms are the conditions of a rule: what it matches of a packet.
type terms struct {
	iif, oif       string
	from, to       string // addresses
	protocol       string // tcp, udp, sctp, icmp or ipv6-icmp
	port, fromPort uint16
	isAnswer       bool
	isPublished    bool
	isLocal        bool // to an address of the host
	icmp           string
}

func (s situation) terms(p packet) (t terms) {
	a := p.about
	switch p.what {
	case Leaving:
		t = terms{iif: s.bridge, from: a.Addr.String()}
	case Returning:
		t = terms{oif: s.bridge, to: a.Addr.String(), isAnswer: true}
	case Published:
		t = terms{oif: s.bridge, to: a.Addr.String(), protocol: protocolName(a.Protocol), port: a.ContainerPort, isPublished: true}
		if p.isAnswer {
			t = terms{iif: s.bridge, from: a.Addr.String(), protocol: protocolName(a.Protocol), fromPort: a.ContainerPort, isAnswer: true}
		}
	case Neighbours:
		t = terms{iif: s.bridge, oif: s.bridge}
	case Arriving:
		t = terms{protocol: protocolName(a.Protocol), port: a.HostPort, isLocal: s.base.isNAT}
		if p.isLate {
			t = terms{protocol: protocolName(a.Protocol), to: a.Addr.String(), port: a.ContainerPort}
		}
	case Replying:
		t = terms{iif: s.bridge, isAnswer: true}
	case Resolving:
		t = terms{iif: s.bridge, protocol: "ipv6-icmp", icmp: "neighbour discovery"}
	case Pinging:
		t = terms{iif: s.bridge, protocol: map[bool]string{false: "icmp", true: "ipv6-icmp"}[p.isIPv6], icmp: "echo-request"}
	case Asking:
		t = terms{iif: s.bridge, protocol: protocolName(p.service.Protocol), port: p.service.Port}
	}
	return t
}

// iptablesNarrow returns a command of iptables(8) that accepts what matches.
func (s situation) iptablesNarrow(t terms) string {
	args := []string{s.program()}
	if s.base.table != "filter" {
		args = append(args, "-t", s.base.table)
	}
	args = append(args, "-I", printable.Name(s.chain()))
	add := func(is bool, more ...string) {
		if is {
			args = append(args, more...)
		}
	}
	add(t.iif != "", "-i", printable.Name(t.iif))
	add(t.oif != "", "-o", printable.Name(t.oif))
	add(t.from != "", "-s", t.from)
	add(t.to != "", "-d", t.to)
	add(t.protocol != "", "-p", t.protocol)
	add(t.icmp == "echo-request" && t.protocol == "icmp", "--icmp-type", "echo-request")
	add(t.icmp == "echo-request" && t.protocol != "icmp", "--icmpv6-type", "echo-request")
	add(t.icmp == "neighbour discovery", "--icmpv6-type", "neighbour-solicitation")
	add(t.port != 0, "--dport", strconv.Itoa(int(t.port)))
	add(t.fromPort != 0, "--sport", strconv.Itoa(int(t.fromPort)))
	add(t.isLocal, "-m", "addrtype", "--dst-type", "LOCAL")
	add(t.isAnswer, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
	add(t.isPublished, "-m", "conntrack", "--ctstate", "DNAT")
	return printable.Command(append(args, "-j", "ACCEPT")...)
}

// nftNarrow returns a command of nft(8) that accepts what matches.
func (s situation) nftNarrow(t terms) string {
	words := []string{"insert rule", familyName(s.base.family), s.base.table, s.base.name}
	add := func(is bool, more ...string) {
		if is {
			words = append(words, more...)
		}
	}
	add(t.iif != "", "iifname", strconv.Quote(t.iif))
	add(t.oif != "", "oifname", strconv.Quote(t.oif))
	add(t.from != "", addressWord(t.from), "saddr", t.from)
	add(t.to != "", addressWord(t.to), "daddr", t.to)
	add(t.icmp == "echo-request", map[bool]string{false: "icmp", true: "icmpv6"}[t.protocol != "icmp"], "type echo-request")
	add(t.icmp == "neighbour discovery", "icmpv6 type nd-neighbor-solicit")
	add(t.isLocal, "fib daddr type local")
	add(t.port != 0, t.protocol, "dport", strconv.Itoa(int(t.port)))
	add(t.fromPort != 0, t.protocol, "sport", strconv.Itoa(int(t.fromPort)))
	add(t.isAnswer, "ct state established,related")
	add(t.isPublished, "ct status dnat")
	return printable.Command("nft", strings.Join(append(words, "accept"), " "))
}

// addressWord returns the word that nft(8) has for the header of an address.
func addressWord(addr string) string {
	if strings.Contains(addr, ":") {
		return "ip6"
	}
	return "ip"
}

func protocolName(number uint8) string {
	switch number {
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	default:
		return "tcp"
	}
}
