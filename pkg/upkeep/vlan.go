package upkeep

import (
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// refilter turns VLAN filtering of the bridge on, if the attachment has VLANs and it is off.
func refilter(host *link.Host, bridge *link.Bridge, r *store.Record) ([]string, error) {
	if r.VLANs == nil || bridge.VLANFiltering {
		return nil, nil
	}
	if err := host.FilterVLANs(bridge); err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("bridge %s filters by VLAN again", bridge.Name)}, nil
}

// regateVLAN returns the interface that has the gateway addresses of the attachment: the bridge, or its interface of a VLAN,
// which is created if it is missing.
func regateVLAN(host *link.Host, bridge *link.Bridge, r *store.Record) (gate *link.Bridge, done []string, err error) {
	name := r.RoutedBy()
	if name == bridge.Name {
		return bridge, nil, nil
	}
	gate, err = host.Gate(bridge, name)
	if err == nil && gate.Up && gate.Kind != "vlan" {
		return gate, nil, nil // that of the reference bridge
	}
	in := false
	if err == nil && gate.Up {
		in, err = host.InVLAN(bridge, r.VLANs.Native)
	}
	if err == nil && in {
		return gate, nil, nil
	}
	gate, err = host.EnsureVLANLink(bridge, link.VLANSpec{Name: name, ID: r.VLANs.Native})
	return gate, []string{fmt.Sprintf("bridge %s has interface %s again", bridge.Name, name)}, err
}

// reflag restores isolation, hairpin mode and VLANs of a bridge port.
func reflag(host *link.Host, l *link.Link, bridge *link.Bridge, r *store.Record) ([]string, error) {
	lost, err := host.RestorePort(l, bridge, attach.PortFlags(r))
	var done []string
	for _, what := range lost {
		done = append(done, fmt.Sprintf("%s again, for %s", what, r.Key()))
	}
	return done, err
}
