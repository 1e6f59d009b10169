package attach

import (
	"time"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// newRecord returns a record with everything that is known before the network is read.
func newRecord(req Request, cfg *config.Config, role string) *store.Record {
	r := &store.Record{
		Version: store.RecordVersion(), Network: cfg.Name, ContainerID: req.ContainerID, IfName: req.IfName,
		Owner: req.OwnerName(), Role: role, Created: time.Now().UTC(), BootID: store.BootID(), Netns: req.Netns, NetnsMade: req.NetnsMade,
	}
	if cfg.Args.PodName != "" {
		r.Pod = &store.Pod{Namespace: cfg.Args.PodNamespace, Name: cfg.Args.PodName, UID: cfg.Args.PodUID}
	}
	return r
}

// bridgeMAC returns the MAC of a bridge that Patchbay created, else "". Only such a bridge is created again with this MAC.
func bridgeMAC(b *link.Bridge) string {
	if b == nil || !b.Ours {
		return ""
	}
	return b.MAC.String()
}

// policyOf returns the ingressPolicy for a record: "" for open.
func policyOf(cfg *config.Config) string {
	if cfg.IngressPolicy == config.PolicyOpen {
		return ""
	}
	return cfg.IngressPolicy
}

// PortFlags returns the flags of an attachment's bridge port.
func PortFlags(r *store.Record) link.PortFlags {
	return link.PortFlags{Hairpin: r.Hairpin, STPGuard: r.STPGuard, Isolated: r.PortIsolation, VLANs: portVLANs(r)}
}

// recorded returns a route in the format of a record.
func recorded(r link.Route) store.Route {
	return store.Route{Dst: r.Dst, GW: r.GW, Priority: r.Priority, Table: r.Table}
}

// mtu returns the MTU of both ends of the veth pair, in bytes; also before the bridge is created.
func (a *adding) mtu() int {
	switch {
	case a.cfg.MTU != 0:
		return a.cfg.MTU
	case a.bridge == nil: // not created yet
		return a.host.FutureMTU(a.bridgeSpec())
	}
	return a.bridge.MTU
}

// bridgeSpec returns the bridge that ADD creates, or requires of one that exists.
func (p *preflight) bridgeSpec() link.BridgeSpec {
	return link.BridgeSpec{
		Name: p.cfg.Bridge, MTU: p.cfg.MTU, IPv4: p.serves(true), IPv6: p.serves(false), Promisc: p.cfg.PromiscMode, VLANs: p.cfg.VLANs.AreSet(),
	}
}

// vlansOf returns the VLANs of the configuration in the format of a record; nil without any.
func vlansOf(cfg *config.Config) *store.VLANs {
	if !cfg.VLANs.AreSet() {
		return nil
	}
	v := &store.VLANs{Native: cfg.VLANs.Native(), KeepDefault: cfg.VLANs.KeepDefault}
	for _, r := range cfg.VLANs.Trunk {
		v.Trunk = append(v.Trunk, store.VLANRange(r))
	}
	return v
}

// segmentOf returns the layer 2 segment of the network for a record: "" for the bridge.
func segmentOf(cfg *config.Config) string {
	if segment := cfg.Segment(); segment != cfg.Bridge {
		return segment
	}
	return ""
}

// portVLANs returns the VLANs of a bridge port; nil for those that the bridge gives every port.
func portVLANs(r *store.Record) *link.VLANs {
	if r.VLANs == nil {
		return nil
	}
	v := &link.VLANs{Native: r.VLANs.Native, KeepDefault: r.VLANs.KeepDefault}
	for _, trunk := range r.VLANs.Trunk {
		v.Trunk = append(v.Trunk, link.VLANRange(trunk))
	}
	return v
}

// tapOf returns the tap of a configuration for a record; nil without one.
func tapOf(t *config.Tap) *store.Tap {
	if t == nil {
		return nil
	}
	return &store.Tap{Name: t.Name, Owner: t.Owner, Group: t.Group, MultiQueue: t.MultiQueue}
}
