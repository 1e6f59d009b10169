package health

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
	"github.com/patchbay-cni/patchbay/pkg/ipam"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Network is a network of this host.
type Network struct {
	Name        string `json:"name"`
	Bridge      string `json:"bridge"` // "" if unknown
	Attachments int    `json:"attachments"`
	Pools       []Pool `json:"pools"` // one for each range set; empty with another IPAM plugin, or without configuration
}

// Pool is the addresses of a range set.
type Pool struct {
	Subnets []string `json:"subnets"` // CIDR
	Used    int      `json:"used"`    // by attachments with a record
	Free    int      `json:"free"`    // at most MostFree
	Size    int      `json:"size"`    // without gateway and exclusions; at most MostFree
}

// MostFree is the greatest number of addresses that is counted.
const MostFree = 65536

// networks returns the networks of type patchbay in a configuration directory, the default network if it has attachments, and
// those of attachments that no file configures, sorted by name.
func networks(confDir string, attached []inventory.Attachment) ([]Network, error) {
	configured, err := cli.Networks(confDir)
	if err != nil {
		return nil, err
	}
	found := []Network{}
	var failed error
	for _, c := range configured {
		n := Network{Name: c.Name, Pools: []Pool{}}
		err := n.readPools(c.Config, attached)
		failed = errors.Join(failed, err)
		found = append(found, n)
	}
	for _, a := range attached {
		i := slices.IndexFunc(found, func(n Network) bool { return n.Name == a.Network })
		if i < 0 {
			i, found = len(found), append(found, Network{Name: a.Network, Pools: []Pool{}})
		}
		found[i].Attachments++
		found[i].Bridge = cmp.Or(found[i].Bridge, a.Bridge)
	}
	slices.SortFunc(found, func(a, b Network) int { return strings.Compare(a.Name, b.Name) })
	return found, failed
}

// readPools counts the addresses of a network. A configuration that ADD refuses has none: doctor reports it.
func (n *Network) readPools(text []byte, attached []inventory.Attachment) error {
	n.Bridge = config.BridgeLenient(text)
	c, err := config.Parse(text, "")
	if err != nil || c.IPAM == nil {
		return nil //nolint:nilerr // see above
	}
	where := store.Dirs{State: c.StateDir, Data: c.DataDir, Shared: c.SharedDir()}
	var failed error
	for _, set := range c.IPAM.Pool.Sets {
		one := c.IPAM.Pool
		one.Sets = []ipam.Set{set}
		free, err := store.CountFree(where, c.Name, one, MostFree)
		failed = errors.Join(failed, err)
		n.Pools = append(n.Pools, Pool{Subnets: subnetsOf(set), Used: usedIn(set, n.Name, attached), Free: free, Size: sizeOf(&one, free)})
	}
	return failed
}

// sizeOf counts the addresses that a pool of one set gives, unless the free ones are already as many as are counted.
func sizeOf(pool *ipam.Pool, free int) (count int) {
	if free == MostFree {
		return MostFree
	}
	for range pool.Candidates(0, netip.Addr{}) {
		if count++; count == MostFree {
			break
		}
	}
	return count
}

func subnetsOf(set ipam.Set) (all []string) {
	for _, r := range set {
		all = append(all, r.Subnet.String())
	}
	return all
}

// usedIn counts the addresses of a network's attachments in a set.
func usedIn(set ipam.Set, network string, attached []inventory.Attachment) (count int) {
	for _, a := range attached {
		if a.Network != network {
			continue
		}
		for _, text := range a.Addresses {
			if p, err := netip.ParsePrefix(text); err == nil && set.RangeOf(p.Addr()) != nil {
				count++
			}
		}
	}
	return count
}
