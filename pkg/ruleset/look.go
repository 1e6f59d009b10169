package ruleset

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Missing returns which elements of an attachment do not exist any more, one sentence each. It changes nothing.
func Missing(record *store.Record) ([]string, error) {
	if !IsNeeded(record) {
		return nil, nil
	}
	var missing []string
	err := withRules(func(rules *nft.Ruleset) (err error) {
		missing, err = rules.Missing(entryOf(record))
		return err
	})
	return append(missing, missingLocalhost(record, link.RoutesLocalnet)...), err
}

// missingLocalhost reports whether 127.0.0.1 does not reach the ports of an attachment any more; routes is link.RoutesLocalnet, or
// remembers its answers.
func missingLocalhost(r *store.Record, routes func(bridge string) bool) []string {
	if r.Publish == nil || !r.Publish.Localhost || routes(r.RoutedBy()) {
		return nil
	}
	return []string{fmt.Sprintf("published ports are not reached by 127.0.0.1: route_localnet of bridge %s is 0", r.RoutedBy())}
}

// Owners returns the comment of every element that belongs to an attachment: its alias. There are none without nf_tables.
func Owners() (owners []string, err error) {
	err = withRules(func(rules *nft.Ruleset) (err error) {
		owners, err = rules.Owners()
		return err
	})
	return owners, report.Except(err, nft.ErrUnsupported)
}

// Snapshot is the ruleset of the host at one moment.
type Snapshot struct {
	look     *nft.Snapshot
	localnet map[string]bool // whether a bridge routes 127.0.0.0/8
}

// Look reads the ruleset once, for callers with many attachments. It changes nothing.
func Look() (*Snapshot, error) {
	s := &Snapshot{localnet: map[string]bool{}}
	err := withRules(func(rules *nft.Ruleset) (err error) {
		s.look, err = rules.Snapshot()
		return err
	})
	if errors.Is(err, nft.ErrUnsupported) {
		s.look, err = &nft.Snapshot{}, nil // no element can exist
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Missing returns what the function Missing returns, for the moment of the snapshot.
func (s *Snapshot) Missing(record *store.Record) []string {
	if !IsNeeded(record) {
		return nil
	}
	return append(s.look.Missing(entryOf(record)), missingLocalhost(record, s.routesLocalnet)...)
}

func (s *Snapshot) routesLocalnet(bridge string) bool {
	routes, known := s.localnet[bridge]
	if !known {
		routes = link.RoutesLocalnet(bridge)
		s.localnet[bridge] = routes
	}
	return routes
}

// MissingPorts returns how many ports of a mapping do not lead to the container of the record any more.
func (s *Snapshot) MissingPorts(record *store.Record, p store.Port) (missing int) {
	for _, one := range expand(p) {
		if !s.look.IsPublished(one, record.Alias) {
			missing++
		}
	}
	return missing
}

// Port is a published port of the ruleset with its owner.
type Port struct {
	store.Port
	Key   store.Key // empty in part if the comment was cut
	Owner string    // who created the attachment: cni, cli, lxc; "" if the comment is none of ours
	Text  string    // the comment of the element
}

// Ports returns the published ports that none of the given records has, each alone, in no order.
func (s *Snapshot) Ports(except []*store.Record) []Port {
	known := map[place]bool{}
	for _, record := range except {
		if record.Publish == nil {
			continue
		}
		for _, p := range record.Publish.Ports {
			for _, one := range expand(p) {
				known[placeOf(one)] = true
			}
		}
	}
	var all []Port
	for _, p := range s.look.Published() {
		if known[placeOf(p.Port)] {
			continue
		}
		key, owner, _ := identity.ParseAlias(p.Owner)
		all = append(all, Port{
			Port: store.Port{
				Protocol: nft.ProtoName(p.Proto), HostIP: p.HostIP, HostPort: p.HostPort,
				Container: p.Container.Addr(), ContainerPort: p.Container.Port(),
			},
			Key: key, Owner: owner, Text: p.Owner,
		})
	}
	return all
}

// place identifies a port on the host.
type place struct {
	is4   bool
	addr  netip.Addr
	proto uint8
	port  uint16
}

func placeOf(p nft.Port) place {
	return place{p.Container.Addr().Is4(), p.HostIP, p.Proto, p.HostPort}
}
