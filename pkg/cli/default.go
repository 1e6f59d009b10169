package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// The network that is there where none is configured: a bridge of its own, behind the host's address.
const (
	DefaultName   = "patchbay"
	DefaultBridge = "patchbay0"
)

// defaultSubnets are the /24s that it chooses from. They are none of those that Docker, Podman,
// libvirt, LXC, Kubernetes or home routers begin with.
func defaultSubnets() []netip.Prefix {
	var subnets []netip.Prefix
	for _, text := range []string{
		"10.77.0.0/24", "10.177.0.0/24", "10.227.77.0/24", "172.28.77.0/24", "172.29.77.0/24", "192.168.177.0/24", "192.168.227.0/24",
	} {
		subnets = append(subnets, netip.MustParsePrefix(text))
	}
	return subnets
}

// defaultNetwork is the network that needs no file. As long as its bridge exists, the bridge's
// address tells the subnet; else it is the first of the list that no route of this host uses.
func defaultNetwork() (*Network, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	subnet, err := subnetOf(host)
	if err == nil && !subnet.IsValid() {
		subnet, err = host.FirstUnrouted(defaultSubnets(), DefaultBridge)
	}
	if err != nil {
		return nil, err
	}
	if !subnet.IsValid() {
		var list []string
		for _, s := range defaultSubnets() {
			list = append(list, s.String())
		}
		return nil, fmt.Errorf("no network is configured, and this host has routes to all of %s: put a network with another subnet into %s", strings.Join(list, ", "), DefaultConfDir)
	}
	text, err := json.Marshal(map[string]any{
		"cniVersion": "1.1.0", "name": DefaultName, "type": config.TypeName, "bridge": DefaultBridge,
		"isDefaultGateway": true, "ipMasq": true,
		"ipam": map[string]any{"type": config.TypeName, "ranges": [][]map[string]string{{{"subnet": subnet.String()}}}},
	})
	return &Network{Name: DefaultName, Config: text}, err
}

// subnetOf is that of the bridge that is there; not valid if it has none yet.
func subnetOf(host *link.Host) (netip.Prefix, error) {
	b, err := host.Bridge(DefaultBridge)
	if errors.Is(err, link.ErrNotFound) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	addrs, err := host.Addresses(b.Index)
	for _, a := range addrs {
		if a.Addr().Is4() && !a.IsSingleIP() {
			return a.Masked(), err
		}
	}
	return netip.Prefix{}, err
}
