package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/cluster"
	"github.com/patchbay-cni/patchbay/pkg/nodeproblem"
	"github.com/patchbay-cni/patchbay/pkg/noderoute"
	"github.com/patchbay-cni/patchbay/pkg/overlay"
)

// overlayNames are the names of the devices, in the order in which they are made.
func overlayNames() []string { return []string{cluster.Overlay4, cluster.Overlay6} }

// direct returns, for the mode auto, to which InternalIPs of other nodes this host sends without a router. One without a route is reached
// through the overlay, as soon as there is a route.
func (p *passing) direct(nodes []cluster.Node) (map[netip.Addr]bool, error) {
	if p.cluster.Mode != cluster.ModeAuto {
		return nil, nil
	}
	direct := make(map[netip.Addr]bool, 2*len(nodes))
	for _, n := range nodes {
		for _, is4 := range []bool{true, false} {
			addr := n.InternalIP(is4)
			if n.Name == p.options.node || !addr.IsValid() {
				continue
			}
			var err error
			if direct[addr], err = p.table.Direct(addr); err != nil {
				return nil, err
			}
		}
	}
	return direct, nil
}

// overlayBefore makes the devices and adds their entries, before routes are added. Where that fails, routes through the device stay, and none is
// added.
func (p *passing) overlayBefore(plan *cluster.Plan) {
	p.devices = map[string]int{}
	for _, name := range overlayNames() {
		index, err := p.agent.overlay.Index(name)
		if err != nil {
			p.fail(p.options.node, nodeproblem.Overlay, err)
			plan.KeepOverlay = true
		} else if index != 0 {
			p.devices[name] = index
		}
	}
	for _, d := range plan.Devices {
		index, err := p.device(d)
		switch {
		case errors.Is(err, overlay.ErrForeign):
			p.report(nodeproblem.Overlay, "%v: rename or delete it; until then there are no routes to nodes behind a router", err)
		case err != nil:
			p.fail(p.options.node, nodeproblem.Overlay, err)
		default:
			p.devices[d.Name] = index
			continue
		}
		plan.KeepOverlay = true
		p.broken[d.Name] = true
	}
	p.watchOverlay()
}

// watchOverlay watches the devices, from the first one on. In the mode direct nothing subscribes to changes of neighbours.
func (p *passing) watchOverlay() {
	if p.overlayWatch == nil && len(p.devices) == 0 {
		return
	}
	if p.overlayWatch == nil {
		w, err := overlay.OpenWatch()
		if err != nil {
			p.fail(p.options.node, nodeproblem.Overlay, err)
			return
		}
		p.agent.overlayWatch = w
		go func() { p.agent.failed <- p.agent.followOverlay(w) }()
	}
	p.overlayWatch.Follow(slices.Collect(maps.Values(p.devices)))
}

// device makes one device and adds its entries.
func (p *passing) device(d cluster.Device) (index int, err error) {
	index, change, err := p.agent.overlay.Ensure(d)
	if change != "" {
		p.log.Info("interface of the overlay changed", "name", d.Name, "change", change, "local", d.Local.String(), "mtu", d.MTU)
	}
	if err != nil {
		return index, err
	}
	if err := p.agent.overlay.SetAddresses(index, d.Addresses, p.cluster.ClusterCIDRs); err != nil {
		return index, err
	}
	have, err := p.agent.overlay.Entries(index)
	if err != nil {
		return index, err
	}
	changes := cluster.CompareEntries(d.Entries, have, nil)
	for _, f := range changes.Forwards {
		if err := p.agent.overlay.SetForward(index, f); err != nil {
			return index, err
		}
	}
	for _, n := range changes.Neighbours {
		if err := p.agent.overlay.SetNeighbour(index, n); err != nil {
			return index, err
		}
	}
	return index, nil
}

// overlayAfter deletes entries that no route needs any more, and devices that are not planned.
func (p *passing) overlayAfter(plan cluster.Plan) error {
	if plan.KeepOverlay || len(p.devices) == 0 {
		return nil
	}
	routes, err := p.table.List()
	if err != nil {
		return err
	}
	planned := map[string]cluster.Entries{}
	for _, d := range plan.Devices {
		planned[d.Name] = d.Entries
	}
	for name, index := range p.devices {
		var stay []cluster.Route
		for _, r := range routes {
			if r.Link == index {
				stay = append(stay, cluster.Route{Dst: r.Dst, Via: r.Via, Device: name})
			}
		}
		want, is := planned[name]
		if is || len(stay) > 0 && p.cluster.Mode != cluster.ModeDirect {
			err = p.deleteEntries(index, want, stay)
		} else {
			err = p.removeDevice(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *passing) removeDevice(name string) error {
	removed, err := p.agent.overlay.Remove(name)
	if removed {
		p.log.Info("interface of the overlay deleted", "name", name)
	}
	return err
}

// deleteEntries deletes the entries of a device that no route needs.
func (p *passing) deleteEntries(index int, want cluster.Entries, stay []cluster.Route) error {
	have, err := p.agent.overlay.Entries(index)
	if err != nil {
		return err
	}
	changes := cluster.CompareEntries(want, have, stay)
	for _, n := range changes.GoneNeighbours {
		if err := p.agent.overlay.DeleteNeighbour(index, n); err != nil {
			return err
		}
	}
	for _, f := range changes.GoneForwards {
		if err := p.agent.overlay.DeleteForward(index, f); err != nil {
			return err
		}
	}
	return nil
}

// possible returns the routes of a plan without those through a device that could not be made.
func (p *passing) possible(routes []cluster.Route) (possible []cluster.Route) {
	if len(p.broken) == 0 {
		return routes
	}
	for _, r := range routes {
		if p.broken[r.Device] {
			p.unreached[r.Dst] = "interface " + r.Device + " of the overlay could not be made: see the problems of this node"
			continue
		}
		possible = append(possible, r)
	}
	return possible
}

// kernelRoute returns a route with the index of its device.
func (p *passing) kernelRoute(r cluster.Route) noderoute.Route {
	return noderoute.Route{Dst: r.Dst, Via: r.Via, Link: p.devices[r.Device]}
}

// deviceAt returns the name of the device of the overlay with an index, "" for every other interface.
func (p *passing) deviceAt(index int) string {
	for name, at := range p.devices {
		if at == index {
			return name
		}
	}
	return ""
}

// cleanOverlay deletes the devices, with all that is in them.
func cleanOverlay(log *slog.Logger) error {
	h, err := overlay.Open()
	if err != nil {
		return fmt.Errorf("open rtnetlink: %w", err)
	}
	defer h.Close()
	for _, name := range overlayNames() {
		removed, failed := h.Remove(name)
		if removed {
			log.Info("deleted interface of the overlay", "name", name)
		}
		err = errors.Join(err, failed)
	}
	return err
}
