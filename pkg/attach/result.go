package attach

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// print writes the result to stdout: the last step of ADD. A failed write fails the ADD, because the runtime knows nothing of the
// attachment and may not call DEL.
func (a *adding) print(out io.Writer) error {
	a.endFlush()
	return PrintResult(out, a.result(), a.cfg.CNIVersion)
}

// endFlush waits for the flush of conntrack entries, which runs beside the steps after publish.
func (a *adding) endFlush() {
	if a.flushed != nil {
		<-a.flushed
	}
}

// result returns the interfaces in the order of the reference bridge plugin: bridge, host interface, container interface. The ips
// refer to the third. In a chain the bridge is appended to the interfaces of prevResult.
func (a *adding) result() *types100.Result {
	if a.chained != nil {
		return a.chainedResult()
	}
	mtu := a.mtu()
	r := &types100.Result{
		CNIVersion: types100.ImplementedSpecVersion,
		Interfaces: []*types100.Interface{
			bridgeInterface(a.bridge),
			{Name: a.names.HostInterface, Mac: a.names.HostMAC.String(), Mtu: mtu},
			{Name: a.req.IfName, Mac: a.record.MAC, Mtu: mtu, Sandbox: a.req.Netns},
		},
		DNS: a.cfg.DNS,
	}
	if a.gate.Index != a.bridge.Index { // the fourth one, as in the reference bridge
		r.Interfaces = append(r.Interfaces, bridgeInterface(a.gate))
	}
	if a.record.Tap != nil {
		r.Interfaces = append(r.Interfaces, &types100.Interface{Name: a.record.Tap.Name, Mac: a.names.HostMAC.String(), Mtu: mtu, Sandbox: a.req.Netns})
	}
	fillAddresses(r, a.cfg, given{a.record.Addresses, a.routes, 2})
	addPrevious(r, a.cfg.PrevResult)
	return r
}

// chainedResult returns prevResult with the bridge and the addresses, routes and DNS of IPAM.
func (a *adding) chainedResult() *types100.Result {
	r := a.chained.prev
	r.CNIVersion = types100.ImplementedSpecVersion
	r.Interfaces = append(r.Interfaces, bridgeInterface(a.bridge))
	if a.gate.Index != a.bridge.Index {
		r.Interfaces = append(r.Interfaces, bridgeInterface(a.gate))
	}
	if !a.cfg.DNS.IsEmpty() {
		r.DNS = a.cfg.DNS
	}
	fillAddresses(r, a.cfg, given{a.record.Addresses, a.routes, a.chained.container})
	return r
}

func bridgeInterface(b *link.Bridge) *types100.Interface {
	return &types100.Interface{Name: b.Name, Mac: b.MAC.String(), Mtu: b.MTU}
}

// given is what IPAM assigned to a container.
type given struct {
	addresses []store.Address
	routes    []link.Route // as applied; none if another plugin applies them
	to        int          // index of the interface in the result; -1 for none
}

// fillAddresses adds what IPAM assigned. Routes are returned as the configuration has them, with a gateway only if one was
// configured; the metric is the one that ADD applied.
func fillAddresses(r *types100.Result, cfg *config.Config, given given) {
	for _, address := range given.addresses {
		ip := &types100.IPConfig{Address: ipNet(address.Address), Gateway: ipOf(address.Gateway)}
		if given.to >= 0 {
			ip.Interface = types100.Int(given.to)
		}
		r.IPs = append(r.IPs, ip)
	}
	if cfg.IPAM == nil {
		return
	}
	for i, route := range plannedRoutes(cfg, given.addresses) {
		out := cniRoute(route)
		if i < len(given.routes) {
			out.Priority = given.routes[i].Priority
		}
		r.Routes = append(r.Routes, out)
	}
}

func cniRoute(r config.Route) *types.Route {
	return &types.Route{
		Dst: ipNet(r.Dst), GW: ipOf(r.GW), MTU: r.MTU, AdvMSS: r.AdvMSS,
		Priority: r.Priority, Table: r.Table, Scope: r.Scope,
	}
}

func ipOf(addr netip.Addr) net.IP {
	if !addr.IsValid() {
		return nil
	}
	return addr.AsSlice()
}

func ipNet(prefix netip.Prefix) net.IPNet {
	return net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

// addPrevious appends prevResult to the result: CNI SPEC.md section 4, ADD, requires a plugin to pass it on. It follows the
// interfaces and addresses of Patchbay, because the reference plugins firewall and portmap, and runtimes, take the first ones
// for the container's.
func addPrevious(r, prev *types100.Result) {
	if prev == nil {
		return
	}
	moved := make([]int, len(prev.Interfaces))
	for i, iface := range prev.Interfaces {
		at := slices.IndexFunc(r.Interfaces, func(ours *types100.Interface) bool {
			return ours.Name == iface.Name && ours.Sandbox == iface.Sandbox
		})
		if at < 0 {
			at = len(r.Interfaces)
			r.Interfaces = append(r.Interfaces, iface)
		}
		moved[i] = at
	}
	for _, ip := range prev.IPs {
		if ip.Address.IP.IsLoopback() {
			continue // of lo: CRI-O would report it as the address of the pod, the reference firewall would make rules for it
		}
		r.IPs = append(r.IPs, movedTo(ip, moved))
	}
	r.Routes = append(r.Routes, prev.Routes...)
	if r.DNS.IsEmpty() {
		r.DNS = prev.DNS
	}
}

// movedTo returns a copy of an address with the new index of its interface, or without an index if prevResult's was out of range.
func movedTo(ip *types100.IPConfig, moved []int) *types100.IPConfig {
	out := *ip
	out.Interface = nil
	if i := ip.Interface; i != nil && *i >= 0 && *i < len(moved) {
		out.Interface = types100.Int(moved[*i])
	}
	return &out
}

// PrintResult converts a result to a CNI version and writes it with one call, so that a runtime never reads half a result.
func PrintResult(out io.Writer, result *types100.Result, cniVersion string) error {
	converted, err := result.GetAsVersion(cniVersion)
	if err != nil {
		return fmt.Errorf("convert result to version %s: %w", cniVersion, err)
	}
	if current, ok := converted.(*types100.Result); ok {
		return writeResult(out, bytes.NewBuffer(resultText(current)))
	}
	var b bytes.Buffer
	if err := converted.PrintTo(&b); err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	return writeResult(out, &b)
}

// writeResult writes a result and a line feed.
func writeResult(out io.Writer, b *bytes.Buffer) error {
	b.WriteByte('\n')
	if _, err := out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write result: %w", errors.Join(errOutput, err))
	}
	return nil
}

// IPOn returns an address of the interface with an index in a result.
func IPOn(address netip.Prefix, index int) *types100.IPConfig {
	return &types100.IPConfig{Address: ipNet(address), Interface: types100.Int(index)}
}

// PassOn writes prevResult as the result of a chained plugin. If it is of the configuration's version, as libcni passes it, it is written
// as it is: members that this version does not know are not lost.
func PassOn(out io.Writer, cfg *config.Chained) error {
	var own struct {
		CNIVersion string `json:"cniVersion"`
	}
	if json.Unmarshal(cfg.RawPrevResult, &own) != nil || own.CNIVersion != cfg.CNIVersion {
		return PrintResult(out, cfg.PrevResult, cfg.CNIVersion)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, cfg.RawPrevResult, "", "    "); err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	return writeResult(out, &b)
}
