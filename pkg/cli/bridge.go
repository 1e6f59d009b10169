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

// ErrLAN is wrapped where an address of somebody else's network would be given away unasked: its
// DHCP server, or whoever has it, knows nothing of that.
var ErrLAN = errors.New("patchbay gives away no address there unasked")

// Wish is what a person wants to be attached to.
type Wish struct {
	Dir     string       // of configurations
	Network string       // "" for the only one, or the default
	IPs     []netip.Addr // asked for by name
	Ports   Mappings     // to be published
}

// Choose finds the network of a wish: a configured one, the default, or that of a bridge of this
// name which somebody else has made, with the addresses that it has; with the ports in its
// configuration. Errors wrap ErrNoNetwork or ErrLAN and say what the choices are, or name the port.
func (w Wish) Choose() (*Network, error) {
	n, err := w.choose()
	if err == nil {
		err = n.Publish(w.Ports)
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (w Wish) choose() (*Network, error) {
	n, err := Find(w.Dir, w.Network)
	if err == nil {
		return n, w.guard(n)
	}
	if w.Network == "" || !errors.Is(err, ErrNoNetwork) {
		return nil, err
	}
	b, failed := lookAtBridge(w.Network)
	if failed != nil || b == nil {
		return nil, errors.Join(err, failed)
	}
	return w.ofBridge(b)
}

// Bay is a bridge with what matters of the network that it is part of.
type bay struct {
	name    string
	address netip.Prefix // the host's own there; not valid without
	router  netip.Addr   // of the host's default route through it; not valid without
	uplink  string       // a port that leads out of the host; "" without
}

// lookAtBridge is nil where there is no bridge of that name.
func lookAtBridge(name string) (*bay, error) {
	s, err := link.SurveyHost()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.Links, func(l link.SurveyLink) bool { return l.Name == name && l.Kind == "bridge" })
	if i < 0 {
		return nil, nil
	}
	b := &bay{name: name}
	for _, a := range s.Links[i].Addresses {
		if a.Prefix.Addr().Is4() && !b.address.IsValid() {
			b.address = a.Prefix
		}
	}
	for _, l := range s.Links {
		if l.Master == s.Links[i].Index && l.Uplink() {
			b.uplink = l.Name
		}
	}
	for _, r := range s.Routes {
		if r.Link == name && !r.IPv6 && !b.router.IsValid() {
			b.router = r.Gateway
		}
	}
	return b, nil
}

// guard refuses the addresses of a LAN that the bridge of a network is part of: unless the address
// is asked for by name, a DHCP server gives it, or the configuration says which part of the subnet is
// for containers.
func (w Wish) guard(n *Network) error {
	cfg, err := config.Called{}.Parse(n.Config, "")
	if err != nil || len(w.IPs) > 0 || cfg.IPAM == nil {
		return nil //nolint:nilerr // what is wrong with it, the ADD says with a code
	}
	b, err := lookAtBridge(cfg.Bridge)
	if err != nil || b == nil || b.uplink == "" || !b.address.IsValid() {
		return err
	}
	for _, set := range cfg.IPAM.Pool.Sets {
		for _, r := range set {
			whole := r
			whole.Start, whole.End = netip.Addr{}, netip.Addr{}
			if r.Subnet.Overlaps(b.address.Masked()) && whole.Complete() == nil && whole.Start == r.Start && whole.End == r.End {
				return b.refuse(fmt.Sprintf("network %s would give away all of %s, and", n.Name, r.Subnet))
			}
		}
	}
	return nil
}

// refuse names the choices.
func (b *bay) refuse(why string) error {
	where := "bridge " + b.name
	if b.uplink != "" {
		where += " has a port that leads out of this host, " + b.uplink
	} else {
		where += " was not made for a network of patchbay"
	}
	return fmt.Errorf("%s %s: %w. Say --ip with an address that nobody has; or --network with one whose addresses a DHCP server gives (conf/br0-dhcp.conflist); "+
		"or let the network's rangeStart and rangeEnd say which are for containers; or take a network with a bridge of its own", why, where, ErrLAN)
}

// ofBridge is a network in words only: the host's own subnet and router on a bridge, and the address
// that was asked for.
func (w Wish) ofBridge(b *bay) (*Network, error) {
	if len(w.IPs) == 0 {
		return nil, b.refuse("no network is configured as " + b.name + ", and")
	}
	if !b.address.IsValid() {
		return nil, fmt.Errorf("bridge %s has no IPv4 address, and without it nothing tells the length of the subnet of %s: configure a network in %s", b.name, w.IPs[0], w.Dir)
	}
	subnet := map[string]string{"subnet": b.address.Masked().String()}
	ipam := map[string]any{"type": config.TypeName, "exclude": []string{b.address.Addr().String()}}
	if b.router.IsValid() {
		subnet["gateway"] = b.router.String()
		ipam["routes"] = []map[string]string{{"dst": "0.0.0.0/0"}}
	}
	ipam["ranges"] = [][]map[string]string{{subnet}}
	text, err := json.Marshal(map[string]any{"cniVersion": "1.1.0", "name": b.name, "type": config.TypeName, "bridge": b.name, "ipam": ipam})
	return &Network{Name: b.name, Config: text}, err
}
