package attach

import (
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// unplugChained removes an interface that another plugin made from the bridge, and the addresses and routes that ADD added to the
// container interface. The interface itself stays: the plugin that made it deletes it.
func (r *removal) unplugChained(record *store.Record) error {
	l, err := liveness.New(r.host).HostInterface(record)
	if err != nil {
		return errors.Join(report.Except(err, link.ErrNotFound), r.removeChainedIFB(record), r.flushChained(record))
	}
	if !r.isChained(l, record) {
		report.Warn("interface %s stays a port of bridge %s: only the record assigns it to %s", l.Name, record.Bridge, record.Key())
		return r.flushChained(record)
	}
	return errors.Join(r.unlimitChained(l, record), r.host.ClearMaster(l.Name, record.HostIndex, record.Bridge), r.flushChained(record))
}

// isChained reports whether an interface is the one that an earlier plugin made for the attachment. It has no alias of Patchbay, and
// the record alone is not sufficient: a wrong or forged one could name the uplink. Therefore prevResult must name it, or its peer
// must be in the container, or it is a tap in a bridge that Patchbay made, in which the host has no interface of its own.
func (r *removal) isChained(l *link.Link, record *store.Record) bool {
	if _, _, ours := identity.ParseAlias(l.Alias); ours {
		return false // the host interface of an attachment: not made by another plugin
	}
	if r.asked != nil && r.asked.Key(r.key.Network) == r.key && isHostSide(r.asked.Config, l.Name) {
		return true
	}
	b, err := r.host.Bridge(record.Bridge)
	return l.PeerIn(r.calledFor(record)) || l.Kind == "tun" && err == nil && b.Ours
}

// isHostSide reports whether prevResult names an interface of the host.
func isHostSide(conf []byte, name string) bool {
	prev := config.PrevResultLenient(conf)
	if prev == nil {
		return false
	}
	for _, iface := range prev.Interfaces {
		if iface.Sandbox == "" && iface.Name == name {
			return true
		}
	}
	return false
}

// flushChained removes the recorded addresses and routes from the container interface, if the network namespace still exists.
func (r *removal) flushChained(record *store.Record) error {
	if len(record.Addresses) == 0 {
		return nil
	}
	routes := make([]link.Route, 0, len(record.Routes))
	for _, r := range record.Routes {
		routes = append(routes, link.Route{Dst: r.Dst, GW: r.GW, Priority: r.Priority, Table: r.Table})
	}
	return r.inContainer(record, func(sandbox *link.Sandbox) error {
		return errors.Join(
			sandbox.RemoveRoutes(record.IfName, routes),
			sandbox.Flush(record.IfName, store.Prefixes(record.Addresses)),
		)
	})
}
