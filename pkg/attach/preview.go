package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Preview is what an ADD would do on this host now.
type Preview struct {
	Config *config.Config
	Record *store.Record // as ADD would write it; without addresses, and what follows from them, if Delegated is set
	Names  identity.Names
	Bridge *link.Bridge // nil if ADD would create it
	Gate   *link.Bridge // what has the gateway addresses; nil if ADD would create it
	MTU    int          // of the veth pair, in bytes

	BridgeSpec link.BridgeSpec // that ADD would create, or require of one that exists

	Gateways  link.AddressPlan // of Gate
	Routes    []link.Route     // of the container
	Probes    bool             // ADD would probe the addresses on the LAN first
	Delegated string           // the IPAM plugin that ADD would call for the addresses; "" for none
}

// Look returns what an ADD would do, and changes nothing: it has the checks of ADD, and their errors. It takes no locks, so that another
// ADD can get the addresses first. req.Netns may be "" for a network namespace that does not exist yet.
func Look(ctx context.Context, req Request) (*Preview, error) {
	ctx = Within(ctx)
	cfg, plugin, err := req.parse()
	if err != nil {
		return nil, err
	}
	a := &adding{preflight: preflight{cfg: cfg}, req: req, names: identity.Of(req.Key(cfg.Name)).OwnedBy(req.OwnerName()), ipam: delegatedIPAM{plugin: plugin, static: cfg.Static}}
	defer a.close()
	if a.host, err = OpenHost(ctx); err != nil {
		return nil, err
	}
	if err := a.lookOnly(); err != nil {
		return nil, err
	}
	a.record = a.newRecord()
	if err := a.planSpoofCheck(); err != nil {
		return nil, err
	}
	if cfg.IPAM != nil {
		if err := a.planAddresses(); err != nil {
			return nil, err
		}
	}
	return a.preview()
}

// lookOnly is look without a lock, without notes, and without removing a stale attachment.
func (a *adding) lookOnly() (err error) {
	a.host.Warn = a.req.warnOf
	if err := a.examine(false); err != nil {
		return err
	}
	if err := a.checkFree(); err != nil {
		return err
	}
	if err := a.checkTap(); err != nil {
		return err
	}
	a.warnUnpublished()
	if err := a.checkPorts(); err != nil {
		return err
	}
	return a.bridgeIsFree()
}

// checkFree returns an error if the attachment exists, or if the container has another interface of the name.
func (a *adding) checkFree() (err error) {
	if a.req.Netns != "" {
		if a.sandbox, err = link.OpenSandbox(a.req.Netns, a.req.HostNetnsAllowed); err != nil {
			return err
		}
		if err := a.checkIfName(); err != nil {
			return err
		}
	}
	_, err = a.host.Link(a.names.HostInterface)
	switch {
	case err == nil:
		return fmt.Errorf("%w: container %s has %s on network %s", errAttached, a.req.ContainerID, a.req.IfName, a.cfg.Name)
	case errors.Is(err, link.ErrNotFound):
		return nil
	}
	return err
}

// planAddresses puts the next addresses into the record, and what follows from them.
func (a *adding) planAddresses() error {
	r, d := request(a.cfg, nil, a.req), dirs(a.cfg.Ident)
	a.may.mates.key = a.req.Key(a.cfg.Name)
	for _, addr := range a.req.Planned {
		a.may.reserve(addr, errPlanned)
	}
	next, err := store.Next(d, a.may.mates.key, r, nil)
	if outOfAddresses(err) {
		stale, failed := a.reclaimable(d)
		if failed != nil {
			return errors.Join(err, failed)
		}
		next, err = store.Next(d, a.may.mates.key, r, stale)
	}
	if err != nil {
		return err
	}
	a.record.Addresses = next
	return a.complete()
}

// preview returns what the steps after reserve would make.
func (a *adding) preview() (*Preview, error) {
	p := &Preview{Config: a.cfg, Record: a.record, Names: a.names, Bridge: a.bridge, Gate: a.gate, MTU: a.mtu(), BridgeSpec: a.bridgeSpec(), Routes: a.routes}
	if a.ipam.delegates() {
		p.Delegated = a.cfg.IPAMType
		return p, nil
	}
	p.Probes = a.cfg.IPAM != nil && a.isLAN()
	gateways := store.BridgeGateways(a.record.Addresses)
	if !a.cfg.IsGateway || len(gateways) == 0 {
		return p, nil
	}
	if a.gate == nil {
		p.Gateways = link.AddressPlan{Add: gateways, Want: gateways}
		return p, nil
	}
	on, err := a.host.Addresses(a.gate.Index)
	if err != nil {
		return nil, err
	}
	p.Gateways, err = a.addressPlan(on, gateways)
	return p, err
}
