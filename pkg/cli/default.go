package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// The default network. It needs no file, and has a bridge of its own behind the host's address.
const (
	DefaultName   = "patchbay"
	DefaultBridge = "patchbay0"
)

// defaultSubnets returns the /24 subnets that the default network chooses from, in order. Docker, Podman,
// libvirt, LXC, Kubernetes and home routers have other defaults.
func defaultSubnets() []netip.Prefix {
	var subnets []netip.Prefix
	for _, text := range []string{
		"10.77.0.0/24", "10.177.0.0/24", "10.227.77.0/24", "172.28.77.0/24", "172.29.77.0/24", "192.168.177.0/24", "192.168.227.0/24",
	} {
		subnets = append(subnets, netip.MustParsePrefix(text))
	}
	return subnets
}

// defaultNetwork returns the default network. While its bridge exists, the subnet is that of the bridge's
// address; else it is the first default subnet that no route of the host overlaps.
func defaultNetwork() (*Network, error) {
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	subnet, err := defaultSubnet(host)
	if err != nil {
		return nil, err
	}
	if !subnet.IsValid() {
		var list []string
		for _, s := range defaultSubnets() {
			list = append(list, s.String())
		}
		return nil, fmt.Errorf("no free subnet for network %s: routes of this host overlap all of %s; configure network %s with another subnet in %s, or pass --network with another network", DefaultName, strings.Join(list, ", "), DefaultName, DefaultConfDir)
	}
	text, err := json.Marshal(map[string]any{
		"cniVersion": "1.1.0", "name": DefaultName, "type": config.TypeName, "bridge": DefaultBridge,
		"isDefaultGateway": true, "ipMasq": true,
		"ipam": map[string]any{"type": config.TypeName, "ranges": [][]map[string]string{{{"subnet": subnet.String()}}}},
	})
	return &Network{Name: DefaultName, Config: text}, err
}

// Networks returns the networks that commands can attach to: those of type patchbay in a configuration directory, without the files
// that cannot be read, and the default network if its bridge exists and no file has its name.
func Networks(dir string) ([]Network, error) {
	all, _ := networks(dir)
	if slices.Contains(namesOf(all), DefaultName) {
		return all, nil
	}
	host, err := link.OpenHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	if subnet, err := bridgeSubnet(host); err != nil || !subnet.IsValid() {
		return all, err
	}
	n, err := defaultNetwork()
	if err != nil {
		return nil, err
	}
	return append(all, *n), nil
}

// defaultSubnet returns the subnet of the default network; not valid if none is free. The bridge is looked at again after the routes: if
// another `up` has created it meanwhile, one of them may be its own.
func defaultSubnet(host *link.Host) (netip.Prefix, error) {
	subnet, err := bridgeSubnet(host)
	if err != nil || subnet.IsValid() {
		return subnet, err
	}
	free, err := host.FirstUnrouted(defaultSubnets(), DefaultBridge)
	if err != nil {
		return free, err
	}
	if subnet, err = bridgeSubnet(host); err != nil || subnet.IsValid() {
		return subnet, err
	}
	return free, nil
}

// bridgeSubnet returns the subnet of the default bridge; not valid if the bridge does not exist or has no address yet.
func bridgeSubnet(host *link.Host) (netip.Prefix, error) {
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
