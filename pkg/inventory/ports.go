package inventory

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// The states of a published port that `ports` prints, beside those of its attachment.
const (
	PortOK        = "ok"
	PortLost      = "lost"       // the ruleset does not map it to the container
	PortRulesLost = "rules lost" // the ruleset maps it, and lacks other rules of the attachment
)

// Port is a published port, or a range of consecutive ones: in `ports`, and in the JSON of `ls`.
type Port struct {
	HostIP        string `json:"hostIP"`   // "" for any address of the host
	HostPort      int    `json:"hostPort"` // the first
	Count         int    `json:"count"`    // number of ports; at least 1
	Protocol      string `json:"protocol"` // tcp, udp, sctp
	Address       string `json:"address"`  // of the container
	ContainerPort int    `json:"containerPort"`
}

// Publication is a line of `ports`, and an object of its JSON: the names of the fields stay.
type Publication struct {
	Port
	Name        string   `json:"name"` // as in Attachment
	Network     string   `json:"network"`
	ContainerID string   `json:"containerID"`
	IfName      string   `json:"ifname"`
	Owner       string   `json:"owner"`
	State       string   `json:"state"`
	Problems    []string `json:"problems"` // sentences; never null
}

func portOf(p store.Port) Port {
	one := Port{HostPort: int(p.HostPort), Count: p.Len(), Protocol: p.Protocol, Address: p.Container.String(), ContainerPort: int(p.ContainerPort)}
	if p.HostIP.IsValid() {
		one.HostIP = p.HostIP.String()
	}
	return one
}

// portsOf returns the published ports of a record; never nil.
func portsOf(r *store.Record) []Port {
	all := []Port{}
	if r.Publish == nil {
		return all
	}
	for _, p := range r.Publish.Ports {
		all = append(all, portOf(p))
	}
	return all
}

// Span returns the host's ports with their protocol: "8080/tcp", "8000-8099/tcp".
func (p Port) Span() string { return span(p.HostPort, p.Count) + "/" + p.Protocol }

// Where returns Span with the host's address before it, unless it is any: "192.0.2.1:53/udp".
func (p Port) Where() string {
	if p.HostIP == "" {
		return p.Span()
	}
	return net.JoinHostPort(p.HostIP, p.Span())
}

// To returns address and ports of the container: "10.77.0.2:80", "[2001:db8::3]:8000-8099".
func (p Port) To() string { return net.JoinHostPort(p.Address, span(p.ContainerPort, p.Count)) }

// Mapping returns the mapping without the container's address: "8080/tcp -> 80".
func (p Port) Mapping() string { return p.Where() + " -> " + span(p.ContainerPort, p.Count) }

func span(first, count int) string {
	if count <= 1 {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d-%d", first, first+count-1)
}

// Has reports whether a port is in the range; a protocol of "" matches any.
func (p Port) Has(port int, protocol string) bool {
	return port >= p.HostPort && port < p.HostPort+p.Count && (protocol == "" || protocol == p.Protocol)
}

// Ports returns the published ports of a network, of every network if that is "", sorted by number: those of
// the records, and those of the ruleset without a record. Where a state is not PortOK it reads the host a
// second time, and leaves out what was added or deleted meanwhile.
func (i *Inventory) Ports(network string) ([]Publication, error) {
	before, err := i.Attachments("")
	if err != nil {
		return nil, err
	}
	rules, err := i.Rules()
	if err != nil {
		return nil, err
	}
	all := published(before, rules)
	if slices.ContainsFunc(all, func(p Publication) bool { return p.State != PortOK }) {
		after, err := New(i.stateDir).Attachments("")
		if err != nil {
			return nil, err
		}
		all = withoutChanged(all, before, after)
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

// compareAddrs orders any address before single ones, and IPv4 before IPv6.
func compareAddrs(a, b string) int {
	one, _ := netip.ParseAddr(a)
	other, _ := netip.ParseAddr(b)
	return one.Compare(other)
}

// published returns the ports of all records, and those of the ruleset that belong to none of them.
func published(all []Attachment, rules *ruleset.Snapshot) []Publication {
	found := []Publication{}
	var records []*store.Record
	byKey := map[store.Key]*Attachment{}
	for i := range all {
		a := &all[i]
		byKey[a.Key()] = a
		if a.Record == nil || a.Record.Publish == nil {
			continue
		}
		records = append(records, a.Record)
		found = append(found, a.published(rules)...)
	}
	for _, p := range rules.Ports(records) {
		found = append(found, withoutRecord(p, byKey[p.Key]))
	}
	return found
}

// published returns the ports of an attachment whose record publishes some.
func (a *Attachment) published(rules *ruleset.Snapshot) []Publication {
	lost := rules.Missing(a.Record)
	var all []Publication
	for _, port := range a.Record.Publish.Ports {
		p := a.publication(portOf(port))
		n := rules.MissingPorts(a.Record, port)
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

// withoutRecord returns a port that only the ruleset has; a is the attachment that its comment names, nil if
// there is none.
func withoutRecord(p ruleset.Port, a *Attachment) Publication {
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

// withoutChanged leaves out the ports that are not PortOK of attachments that were added, deleted or replaced
// between two readings.
func withoutChanged(all []Publication, before, after []Attachment) []Publication {
	was, is := created(before), created(after)
	return slices.DeleteFunc(all, func(p Publication) bool {
		key := store.Key{Network: p.Network, ContainerID: p.ContainerID, IfName: p.IfName}
		return p.State != PortOK && was[key] != is[key]
	})
}

// created returns when each attachment was created, in nanoseconds; 1 if that is not known.
func created(all []Attachment) map[store.Key]int64 {
	times := map[store.Key]int64{}
	for i := range all {
		times[all[i].Key()] = 1
		if r := all[i].Record; r != nil {
			times[all[i].Key()] = r.Created.UnixNano()
		}
	}
	return times
}
