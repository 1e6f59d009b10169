package attach

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Rules are the host's ruleset as it was at one moment, for who looks at many attachments.
type Rules struct {
	look     *nft.Look
	localnet map[string]bool // whether a bridge routes 127.0.0.0/8
}

// LookAtRules asks the kernel once, however many attachments there are. It changes nothing.
func LookAtRules() (*Rules, error) {
	r := &Rules{localnet: map[string]bool{}}
	err := withRules(func(rules *nft.Ruleset) (err error) {
		r.look, err = rules.Look()
		return err
	})
	if errors.Is(err, nft.ErrUnsupported) {
		r.look, err = &nft.Look{}, nil // nobody has anything there
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Lost says what of a record is not in the ruleset any more, as CHECK does for one alone (lostRules).
func (r *Rules) Lost(record *store.Record) []string {
	if !inRules(record) {
		return nil
	}
	return append(r.look.Missing(entryOf(record)), lostLocalhost(record, r.routesLocalnet)...)
}

func (r *Rules) routesLocalnet(bridge string) bool {
	routes, known := r.localnet[bridge]
	if !known {
		routes = link.RoutesLocalnet(bridge)
		r.localnet[bridge] = routes
	}
	return routes
}

// lostLocalhost says if 127.0.0.1 leads to a record's ports no more; routes is link.RoutesLocalnet, or remembers it.
func lostLocalhost(r *store.Record, routes func(bridge string) bool) []string {
	if r.Publish == nil || !r.Publish.Localhost || routes(r.Bridge) {
		return nil
	}
	return []string{fmt.Sprintf("published ports are not reached by 127.0.0.1: route_localnet of bridge %s is 0", r.Bridge)}
}

// LostPorts is how many of several ports of a record lead to it no more.
func (r *Rules) LostPorts(record *store.Record, p store.Port) (lost int) {
	for _, one := range expand(p) {
		if !r.look.Leads(one, record.Alias) {
			lost++
		}
	}
	return lost
}

// PortOf is a published port as the ruleset has it, with what its owner is called there.
type PortOf struct {
	store.Port
	Key   store.Key // as far as it is told
	Owner string    // who made the attachment: cni, cli, lxc; "" where nothing tells
	Text  string    // what the element says of its owner
}

// Ports are those of the ruleset that no record of some has; each alone, in no order.
func (r *Rules) Ports(but []*store.Record) []PortOf {
	known := map[portAt]bool{}
	for _, record := range but {
		if record.Publish == nil {
			continue
		}
		for _, p := range record.Publish.Ports {
			for _, one := range expand(p) {
				known[placeOf(one)] = true
			}
		}
	}
	var all []PortOf
	for _, p := range r.look.Published() {
		if known[placeOf(p.Port)] {
			continue
		}
		key, owner, _ := ParseAlias(p.Owner)
		all = append(all, PortOf{
			Port: store.Port{
				Protocol: nft.ProtoName(p.Proto), HostIP: p.HostIP, HostPort: p.HostPort,
				Container: p.Container.Addr(), ContainerPort: p.Container.Port(),
			},
			Key: key, Owner: owner, Text: p.Owner,
		})
	}
	return all
}

// portAt is where a port's element is.
type portAt struct {
	is4   bool
	addr  netip.Addr
	proto uint8
	port  uint16
}

func placeOf(p nft.Port) portAt {
	return portAt{p.Container.Addr().Is4(), p.HostIP, p.Proto, p.HostPort}
}
