package attach

import (
	"fmt"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// checking is the state of one CHECK: it collects differences and changes nothing.
type checking struct {
	req     Request
	cfg     *config.Config
	host    *link.Host
	sandbox *link.Sandbox
	record  *store.Record
	found   []string

	reloadable bool     // patchbay reload repairs some of the differences
	settings   []string // commands that set sysctls of the host
}

// differ adds a difference.
func (c *checking) differ(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// ours returns the addresses that the record has. prevResult is no substitute: later plugins of the list may have changed or added
// addresses.
func (c *checking) ours() []store.Address {
	if c.cfg.IPAM == nil || c.record == nil {
		return nil
	}
	return c.record.Addresses
}

// listed reports whether prevResult gives an address to the container's interface.
func (c *checking) listed(address netip.Prefix) bool {
	return slices.ContainsFunc(c.cfg.PrevResult.IPs, func(ip *types100.IPConfig) bool {
		prefix, ok := prefixOf(ip.Address)
		return ok && prefix == address && (ip.Interface == nil || c.isContainers(*ip.Interface))
	})
}

func (c *checking) isContainers(index int) bool {
	all := c.cfg.PrevResult.Interfaces
	return index >= 0 && index < len(all) && all[index].Sandbox != "" && all[index].Name == c.req.IfName
}

// interfaceOf returns an interface of prevResult, nil if there is none; sandbox "" means the host.
func (c *checking) interfaceOf(name, sandbox string) *types100.Interface {
	for _, iface := range c.cfg.PrevResult.Interfaces {
		if iface.Name == name && (iface.Sandbox == "") == (sandbox == "") {
			return iface
		}
	}
	return nil
}
