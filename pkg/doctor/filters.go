package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/firewall"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// otherDrops reports drops at the input hook, those of single addresses and ports, and rules at prerouting that take
// connections to published ports away.
func (x *examination) otherDrops(b *bridge, drops []firewall.Drop) (found []Finding) {
	toHost, others := split(drops, func(d firewall.Drop) bool { return d.What >= firewall.Replying && d.What <= firewall.Asking })
	for _, by := range programs(toHost) {
		of, _ := split(toHost, func(d firewall.Drop) bool { return d.By == by })
		if f, isProblem := toTheHost(b, of); isProblem {
			found = append(found, f)
		} else {
			x.remarks = append(x.remarks, f.Says+" (# "+f.Fix[0]+")")
		}
	}
	for len(others) > 0 {
		first := others[0]
		var same []firewall.Drop
		same, others = split(others, func(d firewall.Drop) bool { return isSameRule(d, first) })
		found = append(found, single(b, same))
	}
	return alike(found)
}

// isSameRule reports whether two drops are by one rule or policy.
func isSameRule(a, b firewall.Drop) bool {
	return a.By == b.By && a.Table == b.Table && a.Chain == b.Chain && a.Evidence == b.Evidence
}

func isOfPort(d firewall.Drop) bool {
	return d.What == firewall.Published || d.What == firewall.Arriving
}

// toTheHost returns the finding for one program that drops what containers send to the host. Echo requests alone are no
// problem: many hosts drop these on purpose.
func toTheHost(b *bridge, drops []firewall.Drop) (f Finding, isProblem bool) {
	needed, pings := split(drops, func(d firewall.Drop) bool { return d.What != firewall.Pinging })
	if len(needed) == 0 {
		return Finding{
			Says: fmt.Sprintf("%s %s %secho requests of bridge %s to the host: its containers cannot ping their gateway, which may be intended", programOf(pings), may("drops", isCertain(pings)), families(pings), b.name),
			Fix:  firewall.Fixes(pings),
		}, false
	}
	certain := isCertain(needed)
	var effects []string
	for _, d := range needed {
		if text := effectOnHost(d); !slices.Contains(effects, text) {
			effects = append(effects, text)
		}
	}
	return Finding{
		Says: fmt.Sprintf("%s %s %spackets from bridge %s to the host: %s", programOf(needed), may("drops", certain), families(needed), b.name, strings.Join(effects, ", ")),
		Seen: evidence(needed), Maybe: !certain, Fix: firewall.Fixes(needed),
	}, true
}

func effectOnHost(d firewall.Drop) string {
	switch {
	case d.What == firewall.Replying:
		return "the host gets no replies of its containers"
	case d.What == firewall.Resolving:
		return "its containers cannot find their IPv6 gateway"
	case d.Service.Port == dhcpPort:
		return "its containers cannot reach the DHCP server of the host"
	default:
		return fmt.Sprintf("its containers cannot reach the name server %s of the host", d.Service.Addr)
	}
}

// single returns the finding for one rule that drops packets of single addresses or ports, or takes connections away.
func single(b *bridge, drops []firewall.Drop) Finding {
	d, certain := drops[0], isCertain(drops)
	named, ofPorts := split(drops, func(d firewall.Drop) bool { return !isOfPort(d) })
	if len(named) == 0 {
		named = ofPorts
	}
	whose := b.whose(named)
	f := Finding{Seen: evidence(drops), Maybe: !certain, Fix: firewall.Fixes(drops)}
	program, families := programOf(drops), families(drops)
	switch {
	case d.Translated:
		f.Says = fmt.Sprintf("%s %s %sconnections to %s: another destination gets them", program, may("redirects", certain), families, whose)
	case d.Untracked:
		f.Says = fmt.Sprintf("%s %s %sconnections to %s from connection tracking: they do not reach the container", program, may("excludes", certain), families, whose)
	case isOfPort(named[0]):
		f.Says = fmt.Sprintf("%s %s %sconnections to %s", program, may("drops", certain), families, whose)
	default:
		f.Says = fmt.Sprintf("%s %s %spackets of %s: %s", program, may("drops", certain), families, whose, strings.Join(effectsOnSome(drops), ", "))
	}
	if d.Evidence != "policy drop" && !d.Translated {
		f.Fix = append([]string{"# unless the rule is intended:"}, f.Fix...)
	}
	return f
}

// effectsOnSome returns what does not work for single attachments.
func effectsOnSome(drops []firewall.Drop) (all []string) {
	for _, text := range effects(drops) {
		all = append(all, strings.NewReplacer("its containers cannot", "cannot", "their published ports are", "published ports are", "they cannot reach each other", "neighbours are unreachable").Replace(text))
	}
	return all
}

// whose returns whose packets a rule drops: the addresses or ports of attachments, three of them at most.
func (b *bridge) whose(drops []firewall.Drop) string {
	var names []string
	for _, d := range drops {
		if d.About == (firewall.Subject{}) {
			return "the published ports of bridge " + b.name
		}
		name := identity.Label(b.records[d.About.Attachment])
		if isOfPort(d) {
			name = fmt.Sprintf("port %d/%s of %s", d.About.HostPort, protocol(d.About.Protocol), name)
		} else {
			name = fmt.Sprintf("%s (%s)", name, d.About.Addr)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	const most = 3
	if len(names) > most {
		names = append(names[:most-1], fmt.Sprintf("%d more", len(names)-most+1))
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return names[0]
}

func protocol(number uint8) string {
	return map[uint8]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}[number]
}

const (
	dnsPort  = 53
	dhcpPort = 67
)

// services returns the services of the host that containers of a bridge use, as far as it is known: the name servers in
// the resolv.conf of named namespaces, and a DHCP server if their IPAM plugin is dhcp and one listens.
func (x *examination) services(b *bridge) (all []firewall.Service) {
	for _, r := range b.records {
		for _, server := range x.serversOf(r) {
			addr, err := netip.ParseAddr(server)
			if err != nil {
				continue
			}
			if local, err := x.host.IsLocal(addr); err != nil || !local {
				continue
			}
			for _, protocol := range []uint8{unix.IPPROTO_UDP, unix.IPPROTO_TCP} {
				if s := (firewall.Service{Addr: addr, Protocol: protocol, Port: dnsPort}); !slices.Contains(all, s) {
					all = append(all, s)
				}
			}
		}
	}
	usesDHCP := slices.ContainsFunc(b.records, func(r *store.Record) bool { return r.IPAMType == "dhcp" })
	if listeners, err := x.host.Listeners(unix.IPPROTO_UDP, dhcpPort); err == nil && usesDHCP {
		if _, is := listeners.At(netip.IPv4Unspecified(), dhcpPort); is {
			all = append(all, firewall.Service{Addr: netip.AddrFrom4([4]byte{255, 255, 255, 255}), Protocol: unix.IPPROTO_UDP, Port: dhcpPort})
		}
	}
	return all
}

// serversOf returns the name servers of a named namespace that a command attached, which its containers can reach.
func (x *examination) serversOf(r *store.Record) []string {
	name := netnsName(r.Netns)
	if name == "" {
		return nil
	}
	resolver, err := cli.ReadResolver(cli.ResolverPath(name))
	if err != nil {
		return nil // dns reports it
	}
	return resolver.Usable()
}
