package attach

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Reload makes the host what the records say: the table of nftables is built anew with what every
// living attachment has in it, and a cable that is in no bridge any more is plugged into its own
// again, which is made if it is missing. No container is touched, nor a cable that somebody has
// plugged into another bridge. It returns what it did, a sentence each; it goes on past errors.
func Reload(ctx context.Context, stateDir string) (done []string, err error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	all, err := listed(stateDir)
	if err != nil {
		return nil, err
	}
	records := living(host, all)
	for _, r := range records {
		did, failed := replug(host, r)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.Key(), failed))
		}
		done = append(done, did...)
	}
	did, failed := reforward(host, records)
	done, err = append(done, did...), errors.Join(err, failed)
	did, failed = reloadRules(ctx, host, stateDir, slices.ContainsFunc(records, inRules))
	done, err = append(done, did...), errors.Join(err, failed)
	if failed == nil { // the rule that closes what this opens is there
		did, failed = relocalize(host, records)
		done, err = append(done, did...), errors.Join(err, failed)
	}
	for _, r := range records {
		flush(ctx, r, conntrack.FlushStale) // those that began while the ports led nowhere
	}
	return done, err
}

// reloadRules leaves a host alone where nobody needs rules and nobody ever did.
func reloadRules(ctx context.Context, host *link.Host, stateDir string, wanted bool) ([]string, error) {
	rules, err := nft.Open()
	if err != nil {
		return nil, err
	}
	defer rules.Close()
	if has, err := rules.HasTable(); !wanted && (err != nil || !has) {
		return nil, nil // also where there is no nf_tables
	}
	lock, err := lockRules(ctx, stateDir, false)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	attachments := 0
	err = rules.Rebuild(func() ([]nft.Entry, error) {
		all, err := entries(host, rules, stateDir)
		attachments = 0
		for _, e := range all {
			if e.Owner != "" {
				attachments++
			}
		}
		return all, err
	})
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("table inet patchbay of nftables built anew, for %d attachments", attachments)}, nil
}

// reforward makes the host a router again for the families of those who use it as their gateway.
func reforward(host *link.Host, living []*store.Record) (done []string, err error) {
	for _, is4 := range []bool{true, false} {
		needed := slices.ContainsFunc(living, func(r *store.Record) bool { return r.Gateway && firstGateway(r.Addresses, is4).IsValid() })
		if !needed || host.Forwarding(is4) {
			continue
		}
		if failed := host.EnableForwarding(is4); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		done = append(done, "the host forwards "+map[bool]string{true: "IPv4", false: "IPv6"}[is4]+" again")
	}
	return done, err
}

// replug plugs a host link into the bridge of its record.
func replug(host *link.Host, r *store.Record) ([]string, error) {
	l, err := host.Link(r.HostLink)
	if err != nil || r.Role == store.RoleChained && r.HostIndex != l.Index {
		return nil, ignore(err, link.ErrNotFound)
	}
	if elsewhere, err := isElsewhere(host, l, r.Bridge); err != nil || elsewhere {
		return nil, err
	}
	bridge, done, err := rebridge(host, r, l.MTU)
	if err != nil || l.Master != 0 {
		return done, err
	}
	if err := host.SetMaster(l, bridge, r.Hairpin); err != nil {
		return done, err
	}
	for _, addr := range r.HostRoutes {
		if err := host.AddHostRoute(bridge, addr); err != nil {
			return done, err
		}
	}
	return append(done, fmt.Sprintf("%s plugged into bridge %s again, for %s", l.Name, bridge.Name, r.Key())), nil
}

// rebridge finds the bridge of a record or makes it, with the MAC and the gateways that its
// containers know.
func rebridge(host *link.Host, r *store.Record, mtu int) (*link.Bridge, []string, error) {
	mac, _ := net.ParseMAC(r.BridgeMAC)
	bridge, err := host.Bridge(r.Bridge)
	var done []string
	if errors.Is(err, link.ErrNotFound) {
		bridge, err = host.EnsureBridge(link.BridgeSpec{Name: r.Bridge, MTU: mtu, MAC: mac})
		done = append(done, fmt.Sprintf("bridge %s made again", r.Bridge))
	}
	if err == nil && bridge.Ours && mac != nil && bridge.MAC.String() != r.BridgeMAC {
		err = host.RestoreMAC(bridge, mac)
		done = append(done, fmt.Sprintf("bridge %s has MAC %s again", r.Bridge, mac))
	}
	if err != nil || !r.Gateway {
		return bridge, done, err
	}
	given, err := regate(host, bridge, gatewaysOf(r.Addresses))
	return bridge, append(done, given...), err
}

// regate gives a bridge the gateways that it has lost.
func regate(host *link.Host, bridge *link.Bridge, gateways []netip.Prefix) ([]string, error) {
	has, err := host.Addresses(bridge.Index)
	if err != nil {
		return nil, err
	}
	lost := slices.DeleteFunc(slices.Clone(gateways), func(p netip.Prefix) bool { return slices.Contains(has, p) })
	if len(lost) == 0 {
		return nil, nil
	}
	plan, err := link.PlanAddresses(has, gateways, false)
	if err == nil {
		err = host.SetAddresses(bridge, plan)
	}
	return []string{fmt.Sprintf("bridge %s has %s again", bridge.Name, strings.Trim(fmt.Sprint(lost), "[]"))}, err
}

// isElsewhere reports whether somebody has plugged a link into another bridge: that is for a person.
func isElsewhere(host *link.Host, l *link.Link, bridge string) (bool, error) {
	if l.Master == 0 {
		return false, nil
	}
	b, err := host.Link(bridge)
	if errors.Is(err, link.ErrNotFound) {
		return true, nil
	}
	return err == nil && b.Index != l.Master, err
}

func ignore(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}
