package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
)

// ErrLAN is wrapped by errors about a network whose addresses belong to the LAN of a bridge. Neither its DHCP
// server nor its other hosts know which addresses patchbay allocates.
var ErrLAN = errors.New("refusing to allocate from the LAN of this bridge")

// Selection is what the options of a command select.
type Selection struct {
	Dir     string       // directory of network configurations
	Network string       // "" for the default
	File    string       // of a network, instead of Dir and Network; "" for none
	IPs     []netip.Addr // values of --ip
	Ports   Mappings     // values of --publish
}

// Choose returns the selected network, with the ports in its configuration: a configured one, the default
// one, or one made from the bridge of that name. Errors wrap ErrNoNetwork and list the networks, wrap ErrLAN
// and list the alternatives, or name the port.
func (s Selection) Choose() (*Network, error) {
	n, err := s.choose()
	if err == nil {
		err = n.Publish(s.Ports)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (s Selection) choose() (*Network, error) {
	n, err := s.find()
	if err == nil {
		return n, s.guard(n)
	}
	if s.File != "" || s.Network == "" || !errors.Is(err, ErrNoNetwork) {
		return nil, err
	}
	b, bridges, failed := readBridge(s.Network)
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	var unknown *unknownNetwork
	errors.As(err, &unknown)
	if b == nil {
		unknown.orBridge, unknown.bridges = true, bridges
		return nil, unknown
	}
	n, err = s.ofBridge(b)
	if err == nil {
		n.Skipped = unknown.unread.orNil()
	}
	return n, err
}

// FindOrBridge returns the network of a name as Find does, or for a request of addresses the one made from the bridge of that name.
func FindOrBridge(dir, name string, ips []netip.Addr) (*Network, error) {
	n, err := Find(dir, name)
	if err == nil || len(ips) == 0 || !errors.Is(err, ErrNoNetwork) {
		return n, err
	}
	b, _, failed := readBridge(name)
	if failed != nil || b == nil {
		return nil, errors.Join(err, failed)
	}
	return Selection{Dir: dir, IPs: ips}.ofBridge(b)
}

func (s Selection) find() (*Network, error) {
	if s.File != "" {
		return ReadFile(s.File)
	}
	return Find(s.Dir, s.Network)
}

// hostBridge is a bridge of the host with what a network on it needs.
type hostBridge struct {
	name    string
	address netip.Prefix // of the host; not valid if the bridge has no IPv4 address
	router  netip.Addr   // of the host's default route through it; not valid without
	uplink  string       // a physical port; "" without
}

// readBridge returns a bridge of the host. If none has that name, it returns nil and the names of the bridges.
func readBridge(name string) (*hostBridge, []string, error) {
	host, err := link.SurveyHost()
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(host.Links, func(l link.SurveyLink) bool { return l.Name == name && l.Kind == "bridge" })
	if i < 0 {
		return nil, bridgesOf(host), nil
	}
	b := &hostBridge{name: name}
	for _, a := range host.Links[i].Addresses {
		if a.Prefix.Addr().Is4() && !b.address.IsValid() {
			b.address = a.Prefix
		}
	}
	for _, l := range host.Links {
		if l.Master == host.Links[i].Index && l.Uplink() {
			b.uplink = l.Name
		}
	}
	for _, r := range host.Routes {
		if r.Link == name && !r.IPv6 && !b.router.IsValid() {
			b.router = r.Gateway
		}
	}
	return b, nil, nil
}

func bridgesOf(host *link.Survey) (names []string) {
	for _, l := range host.Links {
		if l.Kind == "bridge" {
			names = append(names, l.Name)
		}
	}
	return names
}

// guard refuses a network that would allocate from the whole subnet of a LAN which its bridge is part of.
// --ip, another IPAM plugin such as dhcp, and rangeStart with rangeEnd pass.
func (s Selection) guard(n *Network) error {
	cfg, err := config.Called{}.Parse(n.Config, "")
	if err != nil || cfg.IPAM == nil {
		return nil //nolint:nilerr // ADD reports it, with a code
	}
	b, _, err := readBridge(cfg.Bridge)
	if err != nil || b == nil || b.uplink == "" || !b.address.IsValid() {
		return err
	}
	for _, set := range cfg.IPAM.Pool.Sets {
		for _, r := range set {
			whole := r
			whole.Start, whole.End = netip.Addr{}, netip.Addr{}
			if r.Subnet.Overlaps(b.address.Masked()) && whole.Complete() == nil && whole.Start == r.Start && whole.End == r.End {
				if len(s.IPs) > 0 {
					n.LAN = r.Subnet
					return nil
				}
				return b.refuse(fmt.Sprintf("network %s allocates from all of %s", n.Name, r.Subnet))
			}
		}
	}
	return nil
}

// refuse returns an ErrLAN with its reason and the alternatives.
func (b *hostBridge) refuse(reason string) error {
	bridge := "bridge " + b.name + " was not created by patchbay"
	if b.uplink != "" {
		bridge = "bridge " + b.name + " has the uplink " + b.uplink
	}
	return fmt.Errorf("%w: %s, and %s; pass --ip with an unused address, or configure a network: with rangeStart and rangeEnd, "+
		"with DHCP (conf/br0-dhcp.conflist), or with a bridge of its own", ErrLAN, reason, bridge)
}

// ofBridge returns a network with the host's subnet and router on a bridge, for the addresses of --ip.
func (s Selection) ofBridge(b *hostBridge) (*Network, error) {
	if len(s.IPs) == 0 {
		return nil, b.refuse("no network " + b.name + " is configured")
	}
	if !b.address.IsValid() {
		return nil, fmt.Errorf("bridge %s has no IPv4 address, which would give the prefix length for %s: configure a network in %s", b.name, s.IPs[0], s.Dir)
	}
	subnet := map[string]string{"subnet": b.address.Masked().String()}
	ipam := map[string]any{"type": config.TypeName}
	if b.router.IsValid() {
		subnet["gateway"] = b.router.String()
		ipam["routes"] = []map[string]string{{"dst": "0.0.0.0/0"}}
	}
	ipam["ranges"] = [][]map[string]string{{subnet}}
	text, err := json.Marshal(map[string]any{"cniVersion": "1.1.0", "name": b.name, "type": config.TypeName, "bridge": b.name, "ipam": ipam})
	return &Network{Name: b.name, Config: text, LAN: b.address.Masked()}, err
}
