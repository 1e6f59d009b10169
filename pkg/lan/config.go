package lan

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
)

// Limits of a configuration. Smaller blocks than of 16 addresses would be claimed one after the other; more blocks than
// 65536 are too many to list.
const (
	minBlockBits = 4
	maxBlockBits = 10
	maxPoolBits  = 16

	defaultBlockBits = 6
)

// ErrConfig is wrapped by all errors about the values of a Config.
var ErrConfig = errors.New("invalid configuration of the network")

// Config is the configuration of a network, the same for all hosts.
type Config struct {
	Subnet  netip.Prefix   `json:"subnet"`            // of the LAN
	Pool    netip.Prefix   `json:"pool"`              // the part of the subnet that is cut into blocks
	Block   int            `json:"block"`             // prefix length of a block
	Gateway netip.Addr     `json:"gateway,omitzero"`  // of the LAN; without one containers have no default route
	Exclude []netip.Prefix `json:"exclude,omitempty"` // addresses that containers do not get
}

// Complete returns the configuration with its defaults: the pool is the subnet, a block has 64 addresses. Errors wrap
// ErrConfig.
func (c Config) Complete() (Config, error) {
	if !c.Pool.IsValid() {
		c.Pool = c.Subnet
	}
	if c.Block == 0 && c.Subnet.IsValid() {
		c.Block = max(c.Subnet.Addr().BitLen()-defaultBlockBits, c.Pool.Bits())
	}
	c.Exclude = slices.Clone(c.Exclude)
	slices.SortFunc(c.Exclude, netip.Prefix.Compare)
	c.Exclude = slices.Compact(c.Exclude)
	if why := c.fault(); why != "" {
		return Config{}, fmt.Errorf("%w: %s", ErrConfig, why)
	}
	return c, nil
}

// fault returns what is wrong with the values, "" if nothing is.
func (c Config) fault() string {
	if !c.Subnet.IsValid() || c.Subnet != c.Subnet.Masked() || c.Subnet.Addr().Is4In6() {
		return "the subnet needs an address without host bits and a prefix length, such as 192.0.2.0/24"
	}
	if why := c.poolFault(); why != "" {
		return why
	}
	if c.Gateway.IsValid() && !c.Subnet.Contains(c.Gateway) {
		return fmt.Sprintf("the gateway %s is not in the subnet %s", c.Gateway, c.Subnet)
	}
	for _, e := range c.Exclude {
		if !e.IsValid() || e != e.Masked() || e.Bits() < c.Subnet.Bits() || !c.Subnet.Contains(e.Addr()) {
			return fmt.Sprintf("the excluded %s is not a part of the subnet %s", e, c.Subnet)
		}
	}
	for range c.usableBlocks() {
		return ""
	}
	return "no block of the pool has an address that is not excluded"
}

func (c Config) poolFault() string {
	length := c.Subnet.Addr().BitLen()
	host := length - c.Block
	switch {
	case !c.Pool.IsValid() || c.Pool != c.Pool.Masked() || c.Pool.Bits() < c.Subnet.Bits() || !c.Subnet.Contains(c.Pool.Addr()):
		return fmt.Sprintf("the pool %s is not a part of the subnet %s", c.Pool, c.Subnet)
	case host < minBlockBits || host > maxBlockBits:
		return fmt.Sprintf("a block has a prefix length from %d to %d, got %d", length-maxBlockBits, length-minBlockBits, c.Block)
	case c.Block < c.Pool.Bits():
		return fmt.Sprintf("a block of /%d is larger than the pool %s", c.Block, c.Pool)
	case c.Block-c.Pool.Bits() > maxPoolBits:
		return fmt.Sprintf("the pool %s has more than %d blocks of /%d; choose a smaller pool", c.Pool, 1<<maxPoolBits, c.Block)
	}
	return ""
}

// Blocks returns the number of blocks of the pool.
func (c Config) Blocks() int { return 1 << (c.Block - c.Pool.Bits()) }

// Has reports whether a prefix is a block of the pool.
func (c Config) Has(block netip.Prefix) bool {
	return block.Bits() == c.Block && block == block.Masked() && c.Pool.Contains(block.Addr())
}

// BlockOf returns the block that an address is in; the zero Prefix if it is not in the pool.
func (c Config) BlockOf(addr netip.Addr) netip.Prefix {
	if !c.Pool.Contains(addr) {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, c.Block).Masked()
}

// all yields every block of the pool, in order.
func (c Config) all() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for addr, i := c.Pool.Addr(), 0; i < c.Blocks(); i++ {
			block := netip.PrefixFrom(addr, c.Block)
			if !yield(block) {
				return
			}
			addr = lastOf(block).Next()
		}
	}
}

// usableBlocks yields the blocks that have an address for a container.
func (c Config) usableBlocks() iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for block := range c.all() {
			for range c.Addresses(block) {
				if !yield(block) {
					return
				}
				break
			}
		}
	}
}

// Bounds returns the first and the last address of a block that a range of the plugin may have: the network address and
// the broadcast address of the subnet are left out.
func (c Config) Bounds(block netip.Prefix) (first, last netip.Addr) {
	first, last = block.Addr(), lastOf(block)
	if first == c.Subnet.Addr() {
		first = first.Next()
	}
	if last.Is4() && last == lastOf(c.Subnet) {
		last = last.Prev()
	}
	return first, last
}

// Addresses yields the addresses of a block that a container may get.
func (c Config) Addresses(block netip.Prefix) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		first, last := c.Bounds(block)
		for addr := first; addr.Compare(last) <= 0; addr = addr.Next() {
			excluded := addr == c.Gateway || slices.ContainsFunc(c.Exclude, func(e netip.Prefix) bool { return e.Contains(addr) })
			if !excluded && !yield(addr) {
				return
			}
		}
	}
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// Encode returns the value of the configuration's key.
func (c Config) Encode() []byte {
	text, _ := json.Marshal(c) // all fields have a text form
	return text
}

// DecodeConfig reads the value of the configuration's key. Errors wrap ErrConfig.
func DecodeConfig(text []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c.Complete()
}
