package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/ruleset"
	"github.com/patchbay-cni/patchbay/pkg/safefile"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// check looks for one reason why no container can be attached.
type check struct {
	name      string
	examine   func(*preflight) error
	delegated bool // also for an IPAM call of another main plugin

	// late is true if only STATUS runs the check, because it takes too long for every ADD. ADD finds the same state in a later step and
	// fails with the same error, from the same function.
	late bool
}

// checks returns the checks in the order of the steps of ADD. A new check is a new row: it changes nothing, reads configuration and host
// alone, and its error has a row in causes.
func checks() []check {
	return []check{
		{name: "ready file", examine: (*preflight).readyFile},
		{name: "dns", examine: (*preflight).dns, delegated: true},
		{name: "sysctls", examine: (*preflight).sysctlsAllowed},
		{name: "privileges", examine: (*preflight).privileges},
		{name: "state", examine: (*preflight).state, delegated: true},
		{name: "space for state", examine: (*preflight).stateHasSpace, delegated: true, late: true},
		{name: "bridge", examine: (*preflight).lookAtBridge},
		{name: "VLANs", examine: (*preflight).vlans},
		{name: "bursts", examine: (*preflight).bursts},
		{name: "gateways of routes", examine: (*preflight).gatewaysNear},
		{name: "addresses of the bridge", examine: (*preflight).lookAtAddresses, delegated: true},
		{name: "ipv6", examine: (*preflight).ipv6},
		{name: "forwarding", examine: (*preflight).forwarding},
		{name: "ruleset", examine: (*preflight).openRules},
		{name: "table of the ruleset", examine: (*preflight).table, late: true},
		{name: "table of the bridge", examine: (*preflight).bridgeTable, late: true},
		{name: "outbound addresses", examine: (*preflight).outboundAddresses, late: true}, // warns; ADD: see planMasquerade
		{name: "isolation", examine: (*preflight).bridgeIsFree, late: true},               // ADD: see (*adding).isolate
		{name: "addresses", examine: (*preflight).addressLeft, delegated: true, late: true},
		{name: "ports", examine: (*preflight).freePort, late: true},
	}
}

// examine returns the first reason why no container can be attached. With late it also runs the late checks.
func (p *preflight) examine(late bool) error {
	for _, c := range checks() {
		if c.late && !late || p.cfg.CalledAsIPAM() && !c.delegated {
			continue
		}
		if err := c.examine(p); err != nil {
			return err
		}
	}
	return nil
}

// readyFile looks for the file by which another program, such as patchbay-agent, says that the network of this host is set up. What kind of
// file it is does not matter.
func (p *preflight) readyFile() error {
	path := p.cfg.ReadyFile
	if path == "" {
		return nil
	}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ready file %s %w", path, errNotReady)
	}
	return err
}

// dns reads the file that ipam.resolvConf names.
func (p *preflight) dns() error { return resolveDNS(p.cfg) }

// resolveDNS reads the DNS section from ipam.resolvConf, unless the configuration has one.
func resolveDNS(cfg *config.Config) error {
	if !cfg.DNS.IsEmpty() || cfg.IPAM == nil || cfg.IPAM.ResolvConf == "" {
		return nil
	}
	// Usually a symbolic link of systemd-resolved, and owned by another user.
	text, err := safefile.Read(cfg.IPAM.ResolvConf, safefile.Rules{FollowLinks: true, AnyOwner: true, MaxBytes: maxResolvConf})
	if err != nil {
		return fmt.Errorf("%w: %w", errResolvConf, err)
	}
	return cfg.UseResolvConf(text)
}

// maxResolvConf is the maximum size of a resolv.conf, in bytes.
const maxResolvConf = 64 << 10

// privileges checks for the capabilities that ADD needs (README), in the user namespace of the process.
func (p *preflight) privileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var has [2]unix.CapUserData
	if err := unix.Capget(&header, &has[0]); err != nil {
		return fmt.Errorf("look up capabilities: %w", err)
	}
	needs := []struct {
		bit  uint
		name string
		when bool
	}{
		{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", true},
		{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", true},
		{unix.CAP_NET_RAW, "CAP_NET_RAW", p.cfg.Tap != nil || p.serves(false) && !p.cfg.DisableContainerInterface},
	}
	for _, n := range needs {
		if n.when && has[0].Effective&(1<<n.bit) == 0 {
			return fmt.Errorf("missing: %s: %w", n.name, unix.EPERM)
		}
	}
	return nil
}

// lookAtBridge reads the bridge. It returns an error if the interface is not a bridge, or if its addresses conflict with the gateway of
// the network. A missing bridge is no error: ADD creates it.
func (p *preflight) lookAtBridge() error {
	b, err := p.host.Bridge(p.cfg.Bridge)
	if errors.Is(err, link.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p.bridge = b
	if err := p.lookAtGate(); err != nil || p.gate == nil || !p.cfg.IsGateway && p.cfg.IPAMType == "" {
		return err
	}
	if p.on, err = p.host.Addresses(p.gate.Index); err != nil || !p.cfg.IsGateway {
		return err
	}
	_, err = p.addressPlan(p.on, gatewaysOfPool(p.cfg))
	return err
}

// lookAtAddresses reads which addresses no container may have, and excludes them from the pool.
func (p *preflight) lookAtAddresses() (err error) {
	if p.cfg.IPAMType == "" {
		return nil
	}
	if p.may, err = addressRulesOf(p); err == nil && p.cfg.IPAM != nil {
		p.cfg.IPAM.Pool.Refuse = p.may.refuseHost
	}
	return err
}

// ipv6 checks that IPv6 is enabled, or can be enabled, for the bridge if it is the gateway, and that the kernel supports it.
func (p *preflight) ipv6() error {
	if !p.serves(false) {
		return nil
	}
	if p.cfg.IsGateway || p.bridge != nil && p.cfg.MTU == 0 && !p.bridge.Has6 {
		return p.host.MayHaveIPv6(p.gate)
	}
	return p.host.KnowsIPv6()
}

// forwarding checks that IP forwarding is enabled, or can be enabled, for the families of the gateway.
func (p *preflight) forwarding() error {
	for _, is4 := range []bool{true, false} {
		if !p.cfg.IsGateway || !p.serves(is4) {
			continue
		}
		if err := p.host.MayForward(is4); err != nil {
			return fmt.Errorf("%w: %w", errNoRouter, err)
		}
	}
	return nil
}

// openRules checks for nf_tables and opens the ruleset, if the network or a published port needs it. STATUS does not know the ports of
// containers.
func (p *preflight) openRules() (err error) {
	masquerades := p.cfg.Masq != nil && p.cfg.IPAMType != ""
	if !masquerades && len(p.cfg.Publish.Ports) == 0 && policyOf(p.cfg) == "" && p.cfg.Egress == nil && p.cfg.SpoofCheck.Level == config.SpoofNone {
		return nil
	}
	p.rules, err = ruleset.Open(p.host)
	return err
}

// table checks that this version can add to the table patchbay, if it exists.
func (p *preflight) table() error {
	if p.rules == nil {
		return nil
	}
	return p.rules.Usable()
}

// bridgeTable checks that no other program created the table patchbay of the bridge family, if the network has elements in it.
func (p *preflight) bridgeTable() error {
	if p.rules == nil || p.cfg.IngressPolicy != config.PolicyIsolated && p.cfg.SpoofCheck.Level == config.SpoofNone {
		return nil
	}
	return p.rules.UsableOnBridge()
}

// bridgeIsFree returns an error for two networks on one bridge if one of them is isolated: a bridge is one layer 2 segment, on which the
// containers of one network reach those of the other.
func (p *preflight) bridgeIsFree() error {
	if _, err := p.notIsolated(); err != nil || p.cfg.IngressPolicy != config.PolicyIsolated {
		return err
	}
	return p.alone()
}

// addressLeft checks that every range set has a free address, or one that an ADD would reclaim.
func (p *preflight) addressLeft() error {
	if p.cfg.IPAM == nil {
		return nil
	}
	d := dirs(p.cfg.Ident)
	err := store.CheckFree(d, p.cfg.Name, p.cfg.IPAM.Pool, nil)
	if !errors.Is(err, store.ErrExhausted) {
		return err
	}
	if stale, failed := p.reclaimable(d); failed != nil || len(stale) > 0 {
		err = errors.Join(failed, store.CheckFree(d, p.cfg.Name, p.cfg.IPAM.Pool, stale))
	}
	if !errors.Is(err, store.ErrExhausted) {
		return err
	}
	if p.cfg.WarnOnFull {
		report.Warn("%v; STATUS succeeds because statusOnFull is \"warn\"", err)
		return nil
	}
	return noAddressError{err}
}

// reclaimable is the function reclaimable, also for an IPAM call, which has opened no host.
func (p *preflight) reclaimable(d store.Dirs) ([]netip.Addr, error) {
	host := p.host
	if host == nil {
		opened, err := link.OpenHost()
		if err != nil {
			return nil, err
		}
		defer opened.Close()
		host = opened
	}
	return reclaimable(host, d, p.cfg.Name)
}

// freePort checks that the bridge has fewer ports than Linux allows.
func (p *preflight) freePort() error {
	if p.bridge == nil {
		return nil
	}
	return p.host.CheckFreePort(p.bridge)
}
