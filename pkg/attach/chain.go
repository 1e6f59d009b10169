package attach

import (
	"errors"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// chainLink is an interface that another plugin of the chain made.
type chainLink struct {
	host      *link.Link
	prev      *types100.Result
	container int // index in prev.Interfaces of the container's end; -1 if it has none that we know
}

var errNoHostInterface = errors.New("has no host-side interface")

// findChainLink looks for the host-side interface in prevResult (CNI CONVENTIONS.md, chained
// plugins: veth, tap, whatever there is): one without a sandbox that exists and is no bridge.
func (a *adding) findChainLink() (*chainLink, error) {
	if a.cfg.MAC != nil {
		return nil, &config.Error{
			Kind: config.Invalid, Msg: "mac: cannot be set on an interface that another plugin made",
			Details: "set it where the interface is made",
		}
	}
	prev := a.cfg.PrevResult
	c := &chainLink{prev: prev, container: -1}
	for i, iface := range prev.Interfaces {
		if iface.Sandbox != "" {
			if iface.Name == a.req.IfName && iface.Sandbox == a.req.Netns {
				c.container = i
			}
			continue
		}
		l, err := a.host.Link(iface.Name)
		if errors.Is(err, link.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if l.Kind != "bridge" && c.host == nil {
			c.host = l
		}
	}
	if c.host == nil {
		return nil, fmt.Errorf("prevResult: %w that could be plugged into bridge %s", errNoHostInterface, a.cfg.Bridge)
	}
	return c, nil
}

// chainAlive reports whether an earlier ADD of this chain still has its interface plugged in,
// for this namespace or for another one that is still at its path. A tap outlives the sandbox.
func (a *adding) chainAlive(r *store.Record) bool {
	l, err1 := a.host.Link(r.HostLink)
	b, err2 := a.host.Link(r.Bridge)
	if err1 != nil || err2 != nil || l.Master != b.Index || r.HostIndex != 0 && l.Index != r.HostIndex {
		return false
	}
	if r.NetnsCookie == a.sandbox.Cookie() {
		return true
	}
	other, err := link.OpenSandbox(r.Netns, false)
	if err != nil {
		return false
	}
	defer other.Close()
	return other.Cookie() == r.NetnsCookie
}

func (a *adding) plugChained() error {
	// Before it is plugged in: it may be a port already when the rest of that fails.
	a.undo.push(func() error { return a.host.ClearMaster(a.chained.host.Name, a.chained.host.Index, a.bridge.Name) })
	return a.host.SetMaster(a.chained.host, a.bridge, a.record.Hairpin)
}

// upChained gives the addresses to the container's interface, if the chain made one here. A
// tap has none: then the result is all that the guest's side needs.
func (a *adding) upChained() error {
	if a.chained.container < 0 || len(a.record.Addresses) == 0 {
		return nil
	}
	set := link.Setup{IfName: a.req.IfName, Addresses: prefixes(a.record.Addresses), Routes: a.routes, DAD: a.cfg.EnableDAD}
	a.undo.push(func() error {
		return errors.Join(a.sandbox.RemoveRoutes(set.IfName, a.routes), a.sandbox.Flush(set.IfName, set.Addresses))
	})
	applied, err := a.sandbox.Up(set)
	if err != nil {
		return err
	}
	a.routes = applied.Routes
	for _, r := range a.routes {
		a.record.Routes = append(a.record.Routes, store.Route{Dst: r.Dst, GW: r.GW, Priority: r.Priority, Table: r.Table})
	}
	if err := a.state.Save(a.record); err != nil {
		return err
	}
	if err := a.host.WaitPort(a.chained.host.Name, a.bridge); err != nil {
		return err
	}
	return a.sandbox.Announce(applied.Link, set.Addresses)
}

// chainedResult is prevResult with the bridge, and with what IPAM gave.
func (a *adding) chainedResult() *types100.Result {
	r := a.chained.prev
	r.CNIVersion = types100.ImplementedSpecVersion
	r.Interfaces = append(r.Interfaces, bridgeInterface(a.bridge))
	if !a.cfg.DNS.IsEmpty() {
		r.DNS = a.cfg.DNS
	}
	fillAddresses(r, a.cfg, given{a.record.Addresses, a.routes, a.chained.container})
	return r
}
