package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// Bridge describes what a network's containers need from the host.
type Bridge struct {
	Name string
	// Uplink is the interface of the default route, "" if there is none: the output interface of packets
	// from containers is unknown then.
	Uplink string
	// IPv4 and IPv6 say which of them the containers speak.
	IPv4, IPv6 bool
	// Routed says that the host is the containers' router: they have a gateway that it is.
	Routed bool
	// Published says that the network has published ports, or may have.
	Published bool
	// Addresses are the addresses of the containers, and Ports their published ports. If they are known, rules for one
	// of them are found, and what a rule for some addresses does to these.
	Addresses, Ports []Subject
	// Gateways are the addresses that containers have as their gateway, and that are the host's.
	Gateways []netip.Addr
	// Services are services of the host that the containers use.
	Services []Service
	// Host4 and Host6 are addresses of the host at the uplink, if it is known.
	Host4, Host6 netip.Addr
	// NFCall4 and NFCall6 are bridge-nf-call-iptables and -ip6tables: whether what is bridged meets
	// the chains of the forward hook. Without br_netfilter they are false.
	NFCall4, NFCall6 bool
}

// Subject is an address of a container, or a published port of one.
type Subject struct {
	Attachment    int        // what the caller chooses
	Addr          netip.Addr // of the container
	HostIP        netip.Addr // the zero Addr is every address of the host
	Protocol      uint8      // IPPROTO_TCP, 0 for an address
	HostPort      uint16
	ContainerPort uint16
}

// Service is a service of the host.
type Service struct {
	Addr     netip.Addr // at which containers reach it
	Protocol uint8
	Port     uint16
}

// Drop is a chain or rule that drops packets of a kind, or may drop them.
type Drop struct {
	What Traffic
	// About is the address or port whose packets are dropped; the zero Subject means all of the bridge.
	About Subject
	// Service is the service of the host that containers cannot reach, if What is Asking.
	Service Service
	// Translated and Untracked say that the packets are not dropped, but reach another destination, or are not tracked,
	// which Patchbay's own translation needs.
	Translated, Untracked bool
	IPv4, IPv6            bool
	// By is "docker", "ufw", "firewalld", "iptables" (rules that another program or a person made
	// with it), "iptables-legacy", or "" for rules of nftables of unknown origin.
	By string
	// Family ("ip", "ip6" or "inet"), Table and Chain name where the rule is.
	Family, Table, Chain string
	// Evidence is "policy drop", or the rule: its number, its handle, and as much of it as this
	// package can print.
	Evidence string
	// Certain says that every such packet is dropped there. It is false if a match decides that is
	// not understood, or that is true for some addresses and ports only.
	Certain bool
	// Fix are the commands, one per line, that let the packets pass; see Fixes. They are as permanent
	// as the program that they are of makes them: ufw's and firewalld's are.
	Fix string
}

// Fixes returns the commands of all drops, in order, each once.
func Fixes(drops []Drop) (commands []string) {
	for _, d := range drops {
		for line := range strings.SplitSeq(d.Fix, "\n") {
			if !slices.Contains(commands, line) {
				commands = append(commands, line)
			}
		}
	}
	return commands
}

// String describes the drop without its fix.
func (d Drop) String() string {
	by, verb, families := "", "drops", "IPv4"
	if d.By != "" {
		by = " (" + d.By + ")"
	}
	if !d.Certain {
		verb = "may drop"
	}
	switch {
	case d.IPv4 && d.IPv6:
		families = "IPv4 and IPv6"
	case d.IPv6:
		families = "IPv6"
	}
	return fmt.Sprintf("chain %s of table %s %s%s %s %s %s: %s", d.Chain, d.Family, d.Table, by, verb, families, d.What, d.Evidence)
}

// Drops returns what the filters of other programs drop of a bridge's traffic in the
// forward and input hooks, and what they do at prerouting to connections to its published
// ports; none if all of it passes. It changes nothing, and the bridge need not exist.
// Errors are those of netlink, or wrap ErrBusy.
func (f *Filters) Drops(b Bridge) (drops []Drop, err error) {
	f.begin()
	drops, err = f.readConsistently(func() ([]Drop, error) {
		v := &view{f: f, rules: map[place][]rule{}, sets: map[place]set{}}
		chains, err := f.chains()
		if err != nil {
			return nil, err
		}
		legacy, err := legacyChains(v, len(b.Ports) > 0)
		if err != nil {
			return nil, err
		}
		return evaluate(b, append(chains, legacy...), v)
	})
	if err != nil {
		return nil, fmt.Errorf("evaluate the host's packet filters: %w", err)
	}
	return drops, nil
}

// evaluate passes each packet through each base chain of its hook.
func evaluate(b Bridge, chains []chain, v *view) (drops []Drop, err error) {
	var found []finding
	for _, p := range b.packets() {
		w := &traversal{view: v, packet: p, been: map[visit]outcome{}}
		for _, c := range chains {
			if !p.meets(c) {
				continue
			}
			hits, err := w.decide(b, c)
			if err != nil {
				return nil, err
			}
			for _, h := range hits {
				found = addFinding(found, finding{c.place(), p.isIPv6, dropOf(h.packet, h.outcome, situation{b.Name, c, chains, v.leadsTo(c.place(), userChain)})})
			}
		}
	}
	for _, f := range found {
		drops = append(drops, f.drop)
	}
	return merge(drops), nil
}

// finding is a drop, and the base chain that led to it.
type finding struct {
	base   place
	isIPv6 bool
	drop   Drop
}

// addFinding adds a finding. If one chain drops both packets of a connection, the
// certain one is reported, otherwise the first, with the fixes of both.
func addFinding(all []finding, f finding) []finding {
	at := slices.IndexFunc(all, func(other finding) bool {
		return other.base == f.base && other.isIPv6 == f.isIPv6 && other.drop.What == f.drop.What && other.drop.About == f.drop.About && other.drop.Service == f.drop.Service
	})
	if at < 0 {
		return append(all, f)
	}
	fix := all[at].drop.Fix
	if !strings.Contains(fix, f.drop.Fix) {
		fix += "\n" + f.drop.Fix
	}
	if f.drop.Certain && !all[at].drop.Certain {
		all[at].drop = f.drop
	}
	all[at].drop.Fix = fix
	return all
}

// How much of a text that another program chose is printed, in characters.
const (
	mostOfName = 64  // of a table or chain
	mostOfRule = 500 // of what a rule says
)

// dropOf returns the report for a packet that may be dropped.
func dropOf(p packet, o outcome, s situation) Drop {
	d := Drop{
		What: p.what, About: p.about, Service: p.service, IPv4: !p.isIPv6, IPv6: p.isIPv6, By: s.by(o.where.in.name),
		Translated: o.where.kind == translate, Untracked: o.where.kind == untrack,
		Family: familyName(o.where.in.family), Table: printable.Text(o.where.in.table, mostOfName), Chain: printable.Text(o.where.in.name, mostOfName),
		Evidence: "policy drop", Certain: o.accept == no && !(s.base.isNAT && s.base.priority == dstNAT),
	}
	if o.where.number > 0 {
		d.Evidence = fmt.Sprintf("rule %d%s: %s", o.where.number, handle(o.where.rule.handle), printable.Text(o.where.rule.text(), mostOfRule))
	}
	d.Fix = s.fix(d.By, p)
	return d
}

// handle returns the handle of a rule, as nft(8) takes it; iptables-legacy has none.
func handle(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (handle %d)", n)
}

// merge joins drops that differ only in the version of IP.
func merge(drops []Drop) (all []Drop) {
	for _, d := range drops {
		bare := func(d Drop) Drop { d.IPv4, d.IPv6 = false, false; return d }
		at := slices.IndexFunc(all, func(other Drop) bool { return bare(other) == bare(d) })
		if at < 0 {
			all = append(all, d)
			continue
		}
		all[at].IPv4, all[at].IPv6 = all[at].IPv4 || d.IPv4, all[at].IPv6 || d.IPv6
	}
	return all
}

// familyName returns the name that nft(8) has for a family.
func familyName(family byte) string {
	switch family {
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_IPV6:
		return "ip6"
	default:
		return "inet"
	}
}
