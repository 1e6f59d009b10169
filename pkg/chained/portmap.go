package chained

import (
	"context"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// portmap publishes ports of the host, as the elements of the record's Publish.
func portmap() part {
	return part{
		parse: func(data []byte, _ string) (*config.Chained, error) { return config.ParsePortmap(data) },
		wanted: func(cfg *config.Chained) bool {
			return len(cfg.Publish.Ports)+len(cfg.Publish.Unused) > 0
		},
		plan:   planPorts,
		apply:  applyPorts,
		remove: removePorts,
		clear:  func(r *store.Record) { r.Publish = nil },
		check:  checkPorts,
		status: statusOfRules,
	}
}

// portsAlone returns the part of a record that portmap publishes.
func portsAlone(r *store.Record) *store.Record {
	only := alone(r)
	only.Publish = r.Publish
	return only
}

// removePorts removes the elements. An interface of this attachment alone, which may stay, stops routing 127.0.0.0/8 before: the element
// that keeps the container from those addresses of the host goes too.
func removePorts(ctx context.Context, r *removing) error {
	if p := r.record.Publish; p != nil && p.Localhost && r.record.PointToPoint() {
		l, err := liveness.New(r.host).HostInterface(r.record)
		if err == nil {
			err = r.host.StopRoutingLocalnet(l.Name)
		}
		if err := report.Except(err, link.ErrNotFound); err != nil {
			return err
		}
	}
	return r.withdraw(ctx, portsAlone(r.record))
}

// planPorts puts the ports into the record. Another attachment that publishes one of them is an error before anything is changed.
func planPorts(a *adding) error {
	for _, p := range a.cfg.Publish.Unused {
		if p.NotPublished {
			a.req.Warn("%s; %s", p, p.Fix)
		}
	}
	wanted, err := attach.PublishOf(&a.req, a.cfg.Publish, a.given, a.record.RoutedBy())
	if err != nil || wanted == nil {
		return orDone(err)
	}
	if by := a.record.Publish; by != nil && !a.record.HasPart(names.Portmap) {
		if wanted = a.besides(by, wanted); wanted == nil {
			return errDone
		}
	}
	if a.has() && sameMappings(a.before.Publish, wanted) {
		wanted = a.before.Publish
	}
	a.record.Publish = wanted
	a.note()
	if err := a.openRules(); err != nil {
		return err
	}
	if err := a.rules.CheckPortsFree(a.record.Alias, wanted.Ports, a.state.Dirs().Data); !ruleset.OfSameContainer(err, a.record.Key()) {
		return err
	}
	return nil // PublishFree leaves them out
}

// publishPorts publishes the ports of the record, none of which is left if another attachment of the same container publishes all.
func (a *adding) publishPorts(ctx context.Context) error {
	return a.req.PublishFree(a.rules, a.state, a.record, func() error {
		if a.record.Publish == nil {
			return nil
		}
		return a.publish(ctx, portsAlone(a.record))
	})
}

// besides returns the ports of both, with the options of the main plugin's, or nil if that publishes all of them. A list in which two
// plugins publish the ports of one container contradicts itself: each port is published once.
func (a *adding) besides(by, wanted *store.Publish) *store.Publish {
	more := slices.DeleteFunc(slices.Clone(wanted.Ports), func(p store.Port) bool { return slices.Contains(by.Ports, p) })
	if len(more) == 0 {
		return nil
	}
	a.req.Warn("portmap: the main plugin of this list publishes %d mappings and portmap %d others: give portMappings to one of them", len(by.Ports), len(more))
	both := *by
	both.Ports = slices.Concat(by.Ports, more)
	return &both
}

func sameMappings(a, b *store.Publish) bool {
	return a != nil && a.Plain == b.Plain && a.All == b.All && a.MarkBit == b.MarkBit && a.Localhost == b.Localhost && slices.Equal(a.Ports, b.Ports)
}

// applyPorts adds the elements, and then what needs them to exist.
func applyPorts(ctx context.Context, a *adding) error {
	if a.has() && !sameMappings(a.before.Publish, a.record.Publish) { // an ADD that is repeated with other ports
		r := &removing{state: a.state}
		if err := r.withdraw(ctx, portsAlone(a.before)); err != nil {
			return err
		}
	}
	if err := a.publishPorts(ctx); err != nil || a.record.Publish == nil {
		return err
	}
	only := portsAlone(a.record)
	attach.WarnOfPorts(a.host, &a.req, only)
	if ruleset.HasDatagramPorts(only) {
		ruleset.EndStaleFlows(ctx, only)
	}
	if err := a.reachItself(); err != nil {
		return err
	}
	if only.Publish.Localhost {
		return a.host.RouteLocalnet(a.record.RoutedBy())
	}
	return nil
}

// reachItself sets hairpin mode on the port of our own bridge where a container needs it to reach a port that it publishes itself.
func (a *adding) reachItself() error {
	if a.record.Role != store.RolePort || a.record.Hairpin || !attach.ReachesItself(a.record) {
		return nil
	}
	a.record.Hairpin = true
	if err := a.state.Save(a.record); err != nil {
		return err
	}
	return a.host.SetHairpin(a.ends.host)
}

// checkPorts compares the ports of the runtime with those of the record, and these with nftables.
func checkPorts(c *checking) error {
	wanted, _ := attach.PortsOf(c.cfg.Publish.Ports, c.addresses())
	var has []store.Port
	if c.record.Publish != nil {
		has = c.record.Publish.Ports
	}
	for _, p := range wanted {
		if !slices.Contains(has, p) && !ruleset.ServedBySibling(c.record, p) {
			c.differ("port %d/%s of the configuration is not published by this attachment", p.HostPort, p.Protocol)
		}
	}
	if c.record.HasPart(names.Portmap) && len(has) > len(wanted) && !c.isOurs() {
		c.differ("the attachment publishes %d mappings, the configuration has %d", len(has), len(wanted))
	}
	return c.elements(portsAlone(c.record))
}

// addresses returns the addresses of the container: those of the record of our own main plugin, else those of prevResult.
func (c *checking) addresses() []store.Address {
	if c.isOurs() {
		return c.record.Addresses
	}
	return addressesIn(c.cfg.PrevResult, c.req.IfName)
}

func (c *checking) isOurs() bool {
	return c.record.Role == store.RolePort || c.record.Role == store.RoleChained
}
