package attach

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/bandwidth"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// clearReference removes what the reference plugins made for an attachment without a record: the veth pair, the rules in
// nftables and iptables, and the ifb device. release handles the address file, whose format is the same. A network is migrated from the reference
// plugins by changing the type in its configuration; Patchbay then gets the DEL of containers that they attached. Only a CNI verb
// removes them, because the commands of Patchbay never made attachments with the reference plugins.
func (r *removal) clearReference() error {
	if r.asked == nil || r.asked.OwnerName() != store.OwnerCNI {
		return nil
	}
	if id := r.asked.identify(); id.CalledAsIPAM() {
		return nil // the main plugin removes its interface and rules
	}
	seen, err := r.deleteReferenceLink()
	if err != nil {
		return err
	}
	held, err := r.held()
	if err != nil {
		return err
	}
	return errors.Join(r.removeReferenceRules(held, seen), r.removeReferenceIFB())
}

// removeReferenceIFB deletes the ifb device of the reference plugin bandwidth. An interface of that name that has another type or an
// alias was made by another program.
func (r *removal) removeReferenceIFB() error {
	return report.Except(r.host.RemoveIFB(bandwidth.ReferenceDevice(r.key.Network, r.key.ContainerID), ""), link.ErrNotOwned)
}

// bandwidthLeft reports whether the reference plugin bandwidth may have an ifb device for an attachment with a record: the record has
// no limits while the configuration has some, so that the plugin may have been in the list at the time of the ADD.
func (r *removal) bandwidthLeft() bool {
	record := r.state.Record
	if record == nil || record.Bandwidth != nil || r.asked == nil || r.asked.OwnerName() != store.OwnerCNI {
		return false
	}
	return bytes.Contains(r.asked.Config, []byte(`"bandwidth"`)) || bytes.Contains(r.asked.Config, []byte(`"egressRate"`))
}

// portmapLeft reports whether the reference plugin portmap may have rules for an attachment with a record. That is so if the record
// publishes no ports while the configuration has the capability portMappings: portmap was in the list at the time of the ADD and was
// removed from it since, so that the runtime no longer calls its DEL.
func (r *removal) portmapLeft() bool {
	record := r.state.Record
	if record == nil || record.Publish != nil || r.asked == nil || r.asked.OwnerName() != store.OwnerCNI {
		return false
	}
	return bytes.Contains(r.asked.Config, []byte(`"portMappings"`))
}

// clearPortmap removes the rules of portmap: they would redirect the host port of the next container.
func (r *removal) clearPortmap() error {
	return r.removeReferenceRules(r.state.Record.Addrs(), nil)
}

// removeReferenceRules removes the rules of the reference plugins for reserved and for observed addresses.
func (r *removal) removeReferenceRules(held, seen []netip.Addr) error {
	return ruleset.RemoveReference(r.key, held, seen)
}

// deleteReferenceLink deletes the container interface, and thereby its peer, whose name the reference plugin chose at random. It
// returns the addresses that the interface had. All of these must hold: the interface is a veth without an alias of Patchbay, its
// peer is a port of the network's bridge, and an address file of this container has one of its addresses, or prevResult names it.
// Any other interface stays, for example one that another program made and for which an ADD failed. If the namespace no longer
// exists, the kernel has deleted the interface with it.
func (r *removal) deleteReferenceLink() ([]netip.Addr, error) {
	if r.asked.Netns == "" || r.asked.Key(r.key.Network) != r.key { // GC has no CNI_NETNS
		return nil, nil
	}
	sandbox, err := link.OpenSandbox(r.asked.Netns, r.asked.HostNetnsAllowed)
	if err != nil {
		return nil, nil
	}
	defer sandbox.Close()
	l, err := sandbox.Link(r.key.IfName)
	if errors.Is(err, link.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if is, err := r.isReferenceLink(l); err != nil || !is {
		return nil, err
	}
	has, err := sandbox.Addresses(l.Index)
	if err != nil {
		return nil, err
	}
	var addresses []netip.Addr
	for _, a := range has {
		if !a.Addr().IsLinkLocalUnicast() {
			addresses = append(addresses, a.Addr())
		}
	}
	if made, err := r.madeByReference(l, addresses); err != nil || !made {
		return nil, err
	}
	return addresses, sandbox.Delete(l)
}

// madeByReference reports whether an address file or prevResult assigns an interface to this attachment: see deleteReferenceLink.
func (r *removal) madeByReference(l *link.Link, addresses []netip.Addr) (bool, error) {
	held, err := r.held()
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(held, func(addr netip.Addr) bool { return slices.Contains(addresses, addr) }) {
		return true, nil
	}
	prev := config.PrevResultLenient(r.asked.Config)
	return prev != nil && slices.ContainsFunc(prev.Interfaces, func(i *types100.Interface) bool {
		return i.Name == l.Name && i.Sandbox == r.asked.Netns && i.Mac == l.MAC.String()
	}), nil
}

// isReferenceLink checks the peer. An interface index is unique in its network namespace only, so each end must name the index of
// the other.
func (r *removal) isReferenceLink(inside *link.Link) (bool, error) {
	if inside.Kind != "veth" || inside.Peer == 0 {
		return false, nil
	}
	outside, err := r.host.LinkAt(inside.Peer)
	if err != nil {
		return false, report.Except(err, link.ErrNotFound)
	}
	bridge, err := r.host.Link(r.bridge)
	if err != nil {
		return false, report.Except(err, link.ErrNotFound)
	}
	_, _, ours := identity.ParseAlias(outside.Alias)
	return outside.Kind == "veth" && onePair(inside, outside) && outside.Master == bridge.Index && !ours, nil
}
