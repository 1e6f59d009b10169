package attach

import (
	"errors"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// chainLink is an interface that a previous plugin of the chain created.
type chainLink struct {
	host      *link.Link
	prev      *types100.Result
	container int // index of the container interface in prev.Interfaces; -1 if it is not there
}

// findChainLink returns the host interface of this container that prevResult lists (CNI CONVENTIONS.md, chained plugins), or nil if
// there is none and a veth pair must be created. prevResult is no proof that the interface belongs to this container: the peer of
// a veth is read from the kernel, a tap has no peer.
func (a *adding) findChainLink() (*chainLink, error) {
	if a.cfg.PrevResult == nil {
		return nil, nil
	}
	host, err := a.hostInterface()
	if err != nil || host == nil {
		return nil, err
	}
	if a.cfg.MAC != nil {
		return nil, &config.Error{
			Kind: config.Invalid, Msg: "mac: cannot be set on an interface that another plugin created",
			Details: "set it in the plugin that creates the interface",
		}
	}
	return &chainLink{prev: a.cfg.PrevResult, host: host, container: a.containerInterface()}, a.checkUnused(host)
}

// hostInterface returns the first veth of prevResult whose peer is in this container, else the first tap, else nil. Other interfaces
// of prevResult are not changed.
func (a *adding) hostInterface() (found *link.Link, err error) {
	others := []string{}
	for _, iface := range a.cfg.PrevResult.Interfaces {
		if iface.Sandbox != "" || iface.Name == a.names.HostInterface {
			continue
		}
		l, err := a.host.Link(iface.Name)
		if errors.Is(err, link.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		inside, err := a.host.PeerInSandbox(l, a.sandbox)
		switch {
		case err != nil || inside:
			return l, err
		case isTap(l) && found == nil:
			found = l
		case l.Kind != "bridge":
			others = append(others, l.Name)
		}
	}
	if found == nil && len(others) > 0 {
		a.req.Warn("prevResult has %s, which is not an interface of this container: creating a veth pair", others[0])
	}
	return found, nil
}

// isTap reports whether frames of a link go to a program (tun, macvtap) instead of a peer interface.
func isTap(l *link.Link) bool { return l.Kind == "tun" || l.Kind == "macvtap" }

// containerInterface returns the index of the container interface in prevResult, or -1 if it is not there.
func (a *adding) containerInterface() int {
	for i, iface := range a.cfg.PrevResult.Interfaces {
		if iface.Name == a.req.IfName && iface.Sandbox != "" && iface.Sandbox == a.req.Netns {
			return i
		}
	}
	return -1
}

// checkUnused returns an error for an interface that the host itself uses: a bridge port no longer passes packets to the host's own
// addresses and routes. An address alone is no evidence on a veth, because the plugin ptp adds one to the host interface.
func (a *adding) checkUnused(l *link.Link) error {
	routes, err := a.host.RoutesThrough(l.Index)
	if err != nil {
		return err
	}
	if routes {
		return fmt.Errorf("interface %s of prevResult is %w: the host has a route through it", l.Name, errInUse)
	}
	if !isTap(l) {
		return nil
	}
	address, err := a.host.AddressedByHost(l.Index)
	if err == nil && address.IsValid() {
		err = fmt.Errorf("interface %s of prevResult is %w: the host has the address %s on it", l.Name, errInUse, address)
	}
	return err
}

// isChainLive reports whether the interface of an earlier ADD of this chain is still a bridge port, for this namespace or for another
// one that still exists at its path. The port alone is no evidence: a tap can outlive the namespace of its container.
func (a *adding) isChainLive(r *store.Record) bool {
	l, err1 := liveness.New(a.host).HostInterface(r)
	b, err2 := a.host.Link(r.Bridge)
	if err1 != nil || err2 != nil || l.Master != b.Index || r.HostIndex != 0 && l.Index != r.HostIndex {
		return false
	}
	if r.IsNamespace(a.sandbox.Cookie(), a.sandbox.Inode()) {
		return true
	}
	other, err := link.OpenSandbox(r.Netns, false)
	if err != nil {
		return false
	}
	defer other.Close()
	return r.IsNamespace(other.Cookie(), other.Inode())
}

// checkUnenslaved reads the interface of the chain again after a stale attachment was removed. If it is still a bridge port, another
// program enslaved it, and a DEL of this attachment would release it from that bridge.
func (a *adding) checkUnenslaved() error {
	if a.chained == nil {
		return nil
	}
	l, err := a.host.Link(a.chained.host.Name)
	switch {
	case err != nil:
		return err
	case l.Index != a.chained.host.Index:
		return fmt.Errorf("interface %s of prevResult: %w", l.Name, link.ErrNotFound)
	case l.Master != 0:
		return fmt.Errorf("interface %s of prevResult is %w: it is a port of %s", l.Name, errInUse, a.masterOf(l))
	}
	a.chained.host = l
	return nil
}

// masterOf describes the bridge of a port, for an error.
func (a *adding) masterOf(l *link.Link) string {
	if a.bridge != nil && a.bridge.Index == l.Master {
		return "bridge " + a.bridge.Name + " already"
	}
	return "another bridge"
}
