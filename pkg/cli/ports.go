package cli

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// States of a published port beyond those of its attachment, as `ports` tells them.
const (
	PortOK        = "ok"
	PortLost      = "lost"       // the ruleset does not lead it there any more
	PortRulesLost = "rules lost" // it leads there, but what it takes beside it is missing
)

// Port is a published port, or several that follow each other: of `ports`, and of the JSON of `ls`.
type Port struct {
	HostIP        string `json:"hostIP"`   // "" for any address of the host
	HostPort      int    `json:"hostPort"` // the first
	Count         int    `json:"count"`    // how many; at least 1
	Protocol      string `json:"protocol"` // tcp, udp, sctp
	Address       string `json:"address"`  // of the container
	ContainerPort int    `json:"containerPort"`
}

// Publication is a line of `ports`, and an object of its JSON: the names of the fields stay.
type Publication struct {
	Port
	Name        string   `json:"name"` // as ls has it
	Network     string   `json:"network"`
	ContainerID string   `json:"containerID"`
	IfName      string   `json:"ifname"`
	Owner       string   `json:"owner"`
	State       string   `json:"state"`
	Problems    []string `json:"problems"` // sentences; never null
}

func portOf(p store.Port) Port {
	one := Port{HostPort: int(p.HostPort), Count: p.Many(), Protocol: p.Protocol, Address: p.Container.String(), ContainerPort: int(p.ContainerPort)}
	if p.HostIP.IsValid() {
		one.HostIP = p.HostIP.String()
	}
	return one
}

// portsOf are those of a record; never nil.
func portsOf(r *store.Record) []Port {
	all := []Port{}
	if r == nil || r.Publish == nil {
		return all
	}
	for _, p := range r.Publish.Ports {
		all = append(all, portOf(p))
	}
	return all
}

// Span is the ports of the host with their protocol: "8080/tcp", "8000-8099/tcp".
func (p Port) Span() string { return span(p.HostPort, p.Count) + "/" + p.Protocol }

// Where is Span behind the address of the host, if it is one alone: "192.0.2.1:53/udp".
func (p Port) Where() string {
	if p.HostIP == "" {
		return p.Span()
	}
	return net.JoinHostPort(p.HostIP, p.Span())
}

// To is where it leads: "10.77.0.2:80", "[2001:db8::3]:8000-8099".
func (p Port) To() string { return net.JoinHostPort(p.Address, span(p.ContainerPort, p.Count)) }

func span(first, count int) string {
	if count <= 1 {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, first+count-1)
}

// ParsePort reads what `ports` is asked for: "8080" or "8080/udp"; protocol is "" for any.
func ParsePort(word string) (port int, protocol string, err error) {
	number, protocol, told := strings.Cut(word, "/")
	protocol = strings.ToLower(protocol)
	if told && !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return 0, "", fmt.Errorf("%q is no protocol: it is tcp, udp or sctp", protocol)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 {
		return 0, "", fmt.Errorf("%q is no port: give a number from 1 to 65535, and /udp behind it for that protocol alone", word)
	}
	return int(n), protocol, nil
}

// Has reports whether a port is among these; a protocol of "" is any.
func (p Port) Has(port int, protocol string) bool {
	return port >= p.HostPort && port < p.HostPort+p.Count && (protocol == "" || protocol == p.Protocol)
}

// Ports are the published ports of a host, in the order of their numbers: those of the records, and
// what the ruleset has beside these. It takes one list of the cables and one of the ruleset.
func Ports(stateDir, network string) ([]Publication, error) {
	before, err := List(stateDir, "")
	if err != nil {
		return nil, err
	}
	rules, err := attach.LookAtRules()
	if err != nil {
		return nil, err
	}
	all := published(before, rules)
	if slices.ContainsFunc(all, func(p Publication) bool { return p.State != PortOK }) {
		after, err := List(stateDir, "")
		if err != nil {
			return nil, err
		}
		all = steady(all, before, after)
	}
	all = slices.DeleteFunc(all, func(p Publication) bool { return network != "" && p.Network != network })
	sortPorts(all)
	return all, nil
}

func sortPorts(all []Publication) {
	slices.SortStableFunc(all, func(a, b Publication) int {
		return cmp.Or(
			cmp.Compare(a.HostPort, b.HostPort), cmp.Compare(a.Protocol, b.Protocol), compareAddrs(a.HostIP, b.HostIP),
			compareAddrs(a.Address, b.Address), cmp.Compare(a.Network, b.Network), cmp.Compare(a.Name, b.Name),
		)
	})
}

// compareAddrs puts any address before single ones, and IPv4 before IPv6.
func compareAddrs(a, b string) int {
	one, _ := netip.ParseAddr(a)
	other, _ := netip.ParseAddr(b)
	return one.Compare(other)
}

func published(all []Attachment, rules *attach.Rules) []Publication {
	found := []Publication{}
	var records []*store.Record
	at := map[store.Key]*Attachment{}
	for i := range all {
		a := &all[i]
		at[a.Key()] = a
		if a.record == nil || a.record.Publish == nil {
			continue
		}
		records = append(records, a.record)
		found = append(found, a.published(rules)...)
	}
	for _, p := range rules.Ports(records) {
		found = append(found, unrecordedPort(p, at[p.Key]))
	}
	return found
}

// published are the ports of an attachment with a record.
func (a *Attachment) published(rules *attach.Rules) []Publication {
	lost := rules.Lost(a.record)
	var all []Publication
	for _, port := range a.record.Publish.Ports {
		p := a.publication(portOf(port))
		n := rules.LostPorts(a.record, port)
		switch {
		case a.State != StateUp:
			p.State = a.State
		case n == p.Count:
			p.State = PortLost
		case n > 0:
			p.State = fmt.Sprintf("%d of %d %s", n, p.Count, PortLost)
		case len(lost) > 0:
			p.State = PortRulesLost
		}
		p.Problems = append(p.Problems, lost...)
		all = append(all, p)
	}
	return all
}

func (a *Attachment) publication(p Port) Publication {
	return Publication{
		Port: p, Name: a.Name, Network: a.Network, ContainerID: a.ContainerID, IfName: a.IfName, Owner: a.Owner,
		State: PortOK, Problems: []string{},
	}
}

// unrecordedPort is one that the ruleset alone tells of.
func unrecordedPort(p attach.PortOf, a *Attachment) Publication {
	if a == nil {
		a = &Attachment{Name: cmp.Or(p.Key.ContainerID, p.Text), Network: p.Key.Network, ContainerID: p.Key.ContainerID, IfName: p.Key.IfName, Owner: p.Owner}
	}
	one := a.publication(portOf(p.Port))
	one.State = StateNoRecord
	if a.State == StateUnreadable {
		one.State = StateUnreadable
	}
	return one
}

// steady leaves out what came or went while it was looked at: a record that is not there any more, and
// the ports of one that is there since.
func steady(all []Publication, before, after []Attachment) []Publication {
	was, is := lives(before), lives(after)
	return slices.DeleteFunc(all, func(p Publication) bool {
		key := store.Key{Network: p.Network, ContainerID: p.ContainerID, IfName: p.IfName}
		return p.State != PortOK && was[key] != is[key]
	})
}

// lives tells for each attachment which life of it the record is of.
func lives(all []Attachment) map[store.Key]int64 {
	created := map[store.Key]int64{}
	for i := range all {
		created[all[i].Key()] = 1
		if r := all[i].record; r != nil {
			created[all[i].Key()] = r.Created.UnixNano()
		}
	}
	return created
}
