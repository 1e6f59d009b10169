package chained

import (
	"context"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/names"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// spoofPart stands in Parts beside firewall if that has set the spoof check of the record, which its DEL removes then.
const spoofPart = "firewall/spoofCheck"

// firewall applies ingressPolicy, as the elements of the record's Policy. The reference plugin also accepts packets of containers in
// chains of iptables; only docker drops them in a chain that is made for exceptions, and there two rules per bridge admit them.
func firewall() part {
	return part{
		parse:  func(data []byte, _ string) (*config.Chained, error) { return config.ParseFirewall(data) },
		wanted: func(cfg *config.Chained) bool { return policyOf(cfg) != "" || cfg.Firewall == config.FirewallAuto },
		plan:   planPolicy,
		apply:  applyPolicy,
		remove: removePolicy,
		clear:  clearPolicy,
		check:  checkPolicy,
		status: func(cfg *config.Chained, host *link.Host) error {
			if policyOf(cfg) == "" {
				return nil
			}
			return statusOfRules(cfg, host)
		},
	}
}

// policyOf returns the policy as a record has it.
func policyOf(cfg *config.Chained) string {
	if cfg.IngressPolicy == config.PolicyOpen {
		return ""
	}
	return cfg.IngressPolicy
}

// policyAlone returns the part of a record that firewall publishes.
func policyAlone(r *store.Record) *store.Record {
	only := alone(r)
	only.Policy = r.Policy
	if r.HasPart(spoofPart) {
		only.SpoofCheck = r.SpoofCheck
	}
	return only
}

// planPolicy puts the policy into the record. If the main plugin has one already, that stays.
func planPolicy(a *adding) error {
	policy := policyOf(a.cfg)
	switch by := a.record.Policy; {
	case policy == "" && a.isOurs(): // its record names the bridge, for which docker's chain may get two rules
		return orDone(a.admitOurs())
	case by != "" && !a.record.HasPart(names.Firewall):
		if policy != by {
			a.req.Warn("firewall: ingressPolicy is %s, and the main plugin of this list has applied %s: give the key to one of them", a.cfg.IngressPolicy, by)
		}
		return errDone
	}
	if policy != "" && a.ends.host == nil && a.record.HostLink == "" {
		return noHostEnd("ingressPolicy", a.req.IfName)
	}
	a.record.Policy, a.record.FirewallAuto = policy, a.cfg.Firewall == config.FirewallAuto
	a.note()
	if policy == "" {
		return nil
	}
	if err := attach.Isolate(a.host, a.ident(), a.record.Bridge, policy); err != nil {
		return err
	}
	if policy == config.PolicyIsolated && a.record.SpoofCheck == nil && a.record.MAC != "" {
		a.record.SpoofCheck = &store.SpoofCheck{MAC: a.record.MAC, Full: len(a.record.Addresses) > 0}
		a.note(spoofPart)
	}
	return a.openRules()
}

// ident returns what identifies the network, with the state directory of the record.
func (a *adding) ident() config.Ident {
	id := a.cfg.Ident
	id.StateDir = a.state.Dirs().State
	return id
}

// applyPolicy adds the elements, after a second look for other networks on the bridge: see attach.Isolate.
func applyPolicy(ctx context.Context, a *adding) error {
	if a.has() {
		r := &removing{state: a.state}
		if err := r.withdraw(ctx, policyAlone(a.before)); err != nil {
			return err
		}
	}
	if err := a.admit(ctx); err != nil {
		return err
	}
	if a.record.Policy == "" {
		return nil
	}
	if err := attach.Isolate(a.host, a.ident(), a.record.Bridge, a.record.Policy); err != nil {
		return err
	}
	return a.publish(ctx, policyAlone(a.record))
}

// admit adds the two rules for the bridge to the chain of docker, if docker is there and "firewall" is "auto". A failure is a warning: the
// container is attached, and doctor reports that a firewall drops its packets.
func (a *adding) admit(ctx context.Context) error {
	if a.cfg.Firewall != config.FirewallAuto || a.record.Bridge == "" {
		return nil
	}
	if err := ruleset.Admit(ctx, a.record.RoutedBy(), a.state.Dirs().State); err != nil {
		a.req.Warn("%s", report.OneLine(err))
	}
	return nil
}

// admitOurs is admit for an attachment of this program's main plugin, whose record has the key for reload.
func (a *adding) admitOurs() error {
	if a.cfg.Firewall == config.FirewallAuto && !a.record.FirewallAuto {
		a.record.FirewallAuto = true
		if err := a.state.Save(a.record); err != nil {
			return err
		}
	}
	return a.admit(context.Background())
}

// removePolicy removes the elements, and the rules of docker's chain for an interface that only this attachment has.
func removePolicy(ctx context.Context, r *removing) error {
	if err := r.withdraw(ctx, policyAlone(r.record)); err != nil {
		return err
	}
	if !r.record.PointToPoint() {
		return nil // other attachments of the bridge need them; GC removes them
	}
	return ruleset.Expel(ctx, r.record.Bridge, r.state.Dirs().State)
}

func clearPolicy(r *store.Record) {
	r.Policy, r.FirewallAuto = "", false
	if r.HasPart(spoofPart) {
		r.SpoofCheck = nil
		r.Parts = slices.DeleteFunc(r.Parts, func(p string) bool { return p == spoofPart })
	}
}

// checkPolicy compares the policy of the record with the configuration, and its elements with nftables.
func checkPolicy(c *checking) error {
	if was, is := c.record.Policy, policyOf(c.cfg); was != is && c.record.HasPart(names.Firewall) {
		c.differ("the attachment was made with ingressPolicy %s, the configuration has %s", named(was), named(is))
	}
	return c.elements(policyAlone(c.record))
}

// named returns the configured name of a policy: a record leaves out open.
func named(policy string) string {
	if policy == "" {
		return config.PolicyOpen
	}
	return policy
}
