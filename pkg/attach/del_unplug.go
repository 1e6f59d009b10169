package attach

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// removeFromKernel removes interfaces, routes and nftables elements. Deleting a veth pair and committing an nftables transaction each
// wait for an RCU grace period in the kernel, so they run at the same time. The lock of the ruleset is held until both are done:
// otherwise a process that rebuilds the table in between would find the interface, count the attachment as live and add its
// elements again.
func (r *removal) removeFromKernel(ctx context.Context) (err error) {
	record, newer := r.state.Record, errors.Is(r.state.Broken, store.ErrNewer)
	if record == nil && !newer {
		return errors.Join(r.unplug(), ruleset.WithdrawMark(r.names.Mark), r.clearReference())
	}
	if r.bandwidthLeft() {
		defer func() { err = errors.Join(err, r.removeReferenceIFB()) }()
	}
	if !r.portmapLeft() {
		return r.clearRecorded(ctx)
	}
	portmap := make(chan error, 1)
	go func() { portmap <- r.clearPortmap() }() // at the same time, see above
	return errors.Join(r.clearRecorded(ctx), <-portmap)
}

// clearRecorded removes interfaces and elements of an attachment with a record, under the lock of the ruleset if it has elements.
func (r *removal) clearRecorded(ctx context.Context) error {
	record, newer := r.state.Record, errors.Is(r.state.Broken, store.ErrNewer)
	if !newer && !ruleset.IsNeeded(record) {
		return r.unplug()
	}
	unlock, err := ruleset.Lock(ctx, r.state.Dirs().State, ruleset.Shared)
	if err != nil {
		return err
	}
	defer unlock()
	if err := r.closeLocalnet(record); err != nil {
		return err
	}
	if record != nil && record.Egress != nil { // one after the other: without its rules the container could reach everything
		if err = r.unplug(); err == nil {
			err = r.withdraw()
		}
	} else {
		withdrawn := make(chan error, 1)
		go func() { withdrawn <- r.withdraw() }()
		err = errors.Join(r.unplug(), <-withdrawn)
	}
	if r.renamed == "" || record == nil {
		return err
	}
	renamed := *record // reload may have built the rules with the present name
	renamed.HostLink = r.renamed
	return errors.Join(err, ruleset.Withdraw(&renamed))
}

// withdraw removes the elements that the record names. If the record is damaged or of a newer version, it also removes every element
// whose comment has the mark of the attachment.
func (r *removal) withdraw() (err error) {
	record := r.state.Record
	if record != nil && ruleset.IsNeeded(record) {
		err = ruleset.Withdraw(record)
	}
	if r.state.Broken != nil {
		err = errors.Join(err, ruleset.WithdrawMark(r.names.Mark))
	}
	return err
}

// unplug removes the host interface, or its mastership if another plugin made it, and the host routes.
func (r *removal) unplug() error {
	record := r.state.Record
	rules := r.removeTap(record)
	if record != nil {
		rules = errors.Join(rules, r.stopSourceRouting(record))
	}
	found, err := r.unplugVeth(r.names.HostInterface)
	if err == nil && !found {
		r.renamed, err = r.unplugRenamed()
	}
	if err = errors.Join(rules, err); record == nil {
		return err
	}
	// Name and mark are derived from the machine-id: if that has changed since ADD, the record has those that were used.
	if record.Role == store.RolePort && record.HostLink != r.names.HostInterface {
		err = errors.Join(err, r.unplugRecorded(record))
	}
	for _, addr := range record.HostRoutes {
		if slices.Contains(record.Addrs(), addr) {
			err = errors.Join(err, r.unroute(record.RoutedBy(), addr))
		}
	}
	// An interface with that name after a reboot is another one.
	if record.Role == store.RoleChained && !liveness.New(r.host).OtherBoot(record) {
		err = errors.Join(err, r.untune(record), r.unplugChained(record))
	}
	if record.Role == store.RolePart {
		err = errors.Join(err, r.clearPart(record))
	}
	return err
}

// unroute removes the host route to an address, unless the address belongs to another attachment by now.
func (r *removal) unroute(bridge string, addr netip.Addr) error {
	ours, err := r.owns(addr)
	if err != nil || !ours {
		return err
	}
	return r.host.RemoveHostRoute(bridge, addr)
}

// unplugVeth deletes the veth pair by the name of its host interface, and its ifb device. An interface with one of the names and another
// alias is kept: it does not belong to this attachment.
func (r *removal) unplugVeth(name string) (found bool, err error) {
	if ifb := r.ifb(); ifb != "" {
		found, err = r.host.UnplugWithIFB(name, ifb, r.names.Mark)
	} else {
		found, err = r.host.UnplugFound(name, r.names.Mark)
	}
	return found, report.Except(err, link.ErrNotOwned)
}

// unplugRecorded deletes the veth pair with the recorded name. That name is not derived from the key, so the whole alias must match.
func (r *removal) unplugRecorded(record *store.Record) error {
	l, err := r.host.Link(record.HostLink)
	if errors.Is(err, link.ErrNotFound) || err == nil && (l.Alias == "" || l.Alias != record.Alias) {
		return r.removeRecordedIFB(record)
	}
	if err == nil {
		err = r.host.Unplug(record.HostLink, record.Alias)
	}
	return errors.Join(report.Except(err, link.ErrNotOwned), r.removeRecordedIFB(record))
}

// unplugRenamed deletes the host interface if it was renamed, and returns its present name; "" if there is none.
func (r *removal) unplugRenamed() (name string, err error) {
	l, err := r.findRenamed()
	if err != nil || l == nil || !store.AliasNames(l.Alias, r.key) { // a record could have another attachment's mark
		return "", report.Except(err, link.ErrNotFound)
	}
	return l.Name, report.Except(r.host.UnplugRenamed(l, identity.MarkOf(l.Alias)), link.ErrNotOwned)
}

// findRenamed finds a renamed host interface through its peer, the container interface, which has its index. It searches the aliases
// of all veth interfaces only if the caller has read them, or if the namespace cannot be entered and a record of this boot exists: a
// dump of thousands of interfaces would slow down every repeated DEL. It returns nil or link.ErrNotFound if there is none.
func (r *removal) findRenamed() (*link.Link, error) {
	if r.aliases != nil {
		return r.byAlias()
	}
	l, err := r.peerOfContainerInterface()
	if !errors.Is(err, link.ErrNoNetns) {
		return l, err
	}
	record := r.state.Record
	if record == nil || record.Role != store.RolePort || liveness.New(r.host).OtherBoot(record) {
		return nil, nil
	}
	return r.byAlias()
}

// byAlias finds the host interface by the mark in its alias. A GC reads the aliases once for all attachments.
func (r *removal) byAlias() (*link.Link, error) {
	seen := r.aliases
	if seen == nil {
		seen = liveness.NewAliases(r.host)
	}
	l, err := seen.Find(r.names.Mark)
	if record := r.state.Record; record != nil && errors.Is(err, link.ErrNotFound) && identity.MarkOf(record.Alias) != r.names.Mark {
		return seen.Find(identity.MarkOf(record.Alias)) // of the machine-id at the time of the ADD
	}
	return l, err
}

// peerOfContainerInterface returns the host interface, nil if the peer belongs to another attachment. The error wraps
// link.ErrNoNetns if the namespace of the attachment is no longer at its path.
func (r *removal) peerOfContainerInterface() (*link.Link, error) {
	path, ifName := r.netns(), r.key.IfName
	if path == "" {
		return nil, link.ErrNoNetns
	}
	sandbox, err := link.OpenSandbox(path, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", link.ErrNoNetns, err)
	}
	defer sandbox.Close()
	if record := r.state.Record; record != nil && !record.IsNamespace(sandbox.Cookie(), sandbox.Inode()) {
		return nil, link.ErrNoNetns
	}
	end, err := sandbox.Link(ifName)
	if err != nil {
		return nil, err
	}
	l, err := r.host.LinkAt(end.Peer)
	if err != nil || identity.MarkOf(l.Alias) == "" {
		return nil, err
	}
	record := r.state.Record
	if mark := identity.MarkOf(l.Alias); mark != r.names.Mark && (record == nil || mark != identity.MarkOf(record.Alias)) {
		return nil, nil
	}
	return l, nil
}
