package attach

import (
	"context"
	"fmt"
	"net"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
)

// plug creates or configures the bridge, and creates the veth pair with its host interface as bridge port. Undo does not
// remove bridge and gateway addresses: other attachments may already use them.
func (a *adding) plug(ctx context.Context) (err error) {
	if err := a.ensureBridge(); err != nil {
		return err
	}
	if err := a.noteBridge(); err != nil {
		return err
	}
	if err := a.ensureGate(); err != nil {
		return err
	}
	if err := a.beGateway(ctx); err != nil {
		return err
	}
	if a.chained != nil {
		err = a.plugChained()
	} else {
		err = a.plugVeth()
	}
	if err == nil {
		err = a.limit()
	}
	if err != nil {
		return err
	}
	return a.routeHosts()
}

// ensureBridge creates or configures the bridge. It reads the bridge again, which may have changed while this ADD waited for a lock. One that
// another program has deleted gets the MAC that it had.
func (a *adding) ensureBridge() (err error) {
	spec := a.bridgeSpec()
	switch {
	case a.bridge == nil:
		spec.MAC = liveness.FormerMAC(a.host, a.cfg.StateDir, spec.Name)
	case a.bridge.Ours:
		spec.MAC = a.bridge.MAC
	}
	a.bridge, err = a.host.EnsureBridge(spec)
	return a.namesVLAN(err)
}

// noteBridge saves the MAC of a new bridge in the record, from which reload can create the bridge again with the same MAC.
func (a *adding) noteBridge() error {
	mac := bridgeMAC(a.bridge)
	if mac == a.record.BridgeMAC {
		return nil
	}
	a.record.BridgeMAC = mac
	return a.state.Save(a.record)
}

func (a *adding) plugVeth() error {
	mac, err := net.ParseMAC(a.record.MAC)
	if err != nil {
		return fmt.Errorf("read MAC of record: %w", err)
	}
	v := link.Veth{
		HostName: a.names.HostInterface, HostMAC: a.names.HostMAC, Alias: a.names.Alias,
		IfName: a.req.IfName, MAC: mac, MTU: a.mtu(), Port: PortFlags(a.record),
	}
	// Registered before Plug: it can fail after the kernel created the veth pair, for example if the acknowledgement is lost.
	a.undo.push("host interface "+v.HostName, func() error {
		// An interface with the alias of another program is not the one of this attachment, which therefore does not exist.
		return report.Except(a.host.Unplug(v.HostName, a.names.Mark), link.ErrNotOwned)
	})
	return a.host.Plug(a.sandbox, a.bridge, v)
}

func (a *adding) plugChained() error {
	// Registered before SetMaster: it can fail on the port flags after the interface became a bridge port.
	a.undo.push("bridge port "+a.chained.host.Name, func() error { return a.host.ClearMaster(a.chained.host.Name, a.chained.host.Index, a.bridge.Name) })
	return a.host.SetMaster(a.chained.host, a.bridge, PortFlags(a.record))
}

// ensureGate creates the interface that has the gateway addresses, if that is not the bridge. Undo does not remove it: it serves every
// attachment to the VLAN.
func (a *adding) ensureGate() (err error) {
	a.gate = a.bridge
	if a.hasVLANGate() {
		a.gate, err = a.host.EnsureVLANLink(a.bridge, a.vlanSpec())
	}
	return err
}
