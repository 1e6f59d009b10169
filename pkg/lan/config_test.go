package lan

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestComplete(t *testing.T) {
	for name, tt := range map[string]struct {
		config Config
		want   string // the encoded configuration, or a part of the error
	}{
		"defaults":           {Config{Subnet: prefix("192.0.2.0/24")}, `{"subnet":"192.0.2.0/24","pool":"192.0.2.0/24","block":26}`},
		"small pool":         {Config{Subnet: prefix("192.0.2.0/24"), Pool: prefix("192.0.2.64/27")}, `{"subnet":"192.0.2.0/24","pool":"192.0.2.64/27","block":27}`},
		"IPv6":               {Config{Subnet: prefix("2001:db8::/64"), Pool: prefix("2001:db8::1:0/112")}, `{"subnet":"2001:db8::/64","pool":"2001:db8::1:0/112","block":122}`},
		"all values":         {Config{prefix("192.0.2.0/24"), prefix("192.0.2.128/25"), 28, netip.MustParseAddr("192.0.2.1"), []netip.Prefix{prefix("192.0.2.200/32"), prefix("192.0.2.130/31")}}, `{"subnet":"192.0.2.0/24","pool":"192.0.2.128/25","block":28,"gateway":"192.0.2.1","exclude":["192.0.2.130/31","192.0.2.200/32"]}`},
		"no subnet":          {Config{}, "the subnet needs"},
		"host bits":          {Config{Subnet: prefix("192.0.2.1/24")}, "the subnet needs"},
		"pool outside":       {Config{Subnet: prefix("192.0.2.0/24"), Pool: prefix("198.51.100.0/25")}, "the pool 198.51.100.0/25 is not a part"},
		"pool too large":     {Config{Subnet: prefix("192.0.2.0/24"), Pool: prefix("192.0.0.0/16")}, "is not a part"},
		"block too large":    {Config{Subnet: prefix("10.0.0.0/8"), Block: 21}, "from 22 to 28, got 21"},
		"block too small":    {Config{Subnet: prefix("192.0.2.0/24"), Block: 29}, "from 22 to 28, got 29"},
		"block above pool":   {Config{Subnet: prefix("192.0.2.0/24"), Pool: prefix("192.0.2.0/27"), Block: 26}, "is larger than the pool"},
		"too many blocks":    {Config{Subnet: prefix("2001:db8::/64")}, "more than 65536 blocks"},
		"gateway outside":    {Config{Subnet: prefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("198.51.100.1")}, "the gateway 198.51.100.1 is not in the subnet"},
		"exclude outside":    {Config{Subnet: prefix("192.0.2.0/24"), Exclude: []netip.Prefix{prefix("192.0.0.0/16")}}, "the excluded 192.0.0.0/16"},
		"nothing left":       {Config{Subnet: prefix("192.0.2.0/24"), Exclude: []netip.Prefix{prefix("192.0.2.0/24")}}, "no block of the pool"},
		"IPv4-mapped subnet": {Config{Subnet: prefix("::ffff:192.0.2.0/120")}, "the subnet needs"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tt.config.Complete()
			got := string(c.Encode())
			if err != nil {
				got = err.Error()
			}
			if strings.HasPrefix(tt.want, "{") != (err == nil) || !strings.Contains(got, tt.want) || err != nil && !errors.Is(err, ErrConfig) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestBlocks: the blocks of a pool have each of its addresses once, but for those that no container gets.
func TestBlocks(t *testing.T) {
	for _, tt := range []struct {
		subnet, pool string
		block        int
		want         int // addresses
	}{
		{"192.0.2.0/24", "192.0.2.0/24", 26, 256 - 4},
		{"192.0.2.0/24", "192.0.2.128/25", 28, 128 - 1},
		{"2001:db8::/64", "2001:db8::/120", 122, 256 - 3},
	} {
		c, err := Config{Subnet: prefix(tt.subnet), Pool: prefix(tt.pool), Block: tt.block, Exclude: []netip.Prefix{prefix(strings.Replace(tt.subnet, "0/24", "9/32", 1))}}.Complete()
		if strings.Contains(tt.subnet, ":") {
			c, err = Config{Subnet: prefix(tt.subnet), Pool: prefix(tt.pool), Block: tt.block, Exclude: []netip.Prefix{prefix("2001:db8::9/128")}}.Complete()
		}
		if err != nil {
			t.Fatal(err)
		}
		c.Gateway = c.Subnet.Addr().Next()
		seen, blocks := map[netip.Addr]bool{}, 0
		for b := range c.all() {
			blocks++
			if !c.Has(b) {
				t.Errorf("%s is no block", b)
			}
			for addr := range c.Addresses(b) {
				if seen[addr] || c.BlockOf(addr) != b {
					t.Errorf("%s: %s again, or in block %s", b, addr, c.BlockOf(addr))
				}
				seen[addr] = true
			}
		}
		if blocks != c.Blocks() || len(seen) != tt.want {
			t.Errorf("%s: %d of %d blocks, %d addresses, want %d", tt.pool, blocks, c.Blocks(), len(seen), tt.want)
		}
	}
}

func FuzzDecodeConfig(f *testing.F) {
	f.Add([]byte(`{"subnet":"192.0.2.0/24","pool":"192.0.2.128/25","block":26,"gateway":"192.0.2.1","exclude":["192.0.2.9/32"]}`))
	f.Add([]byte(`{"subnet":"2001:db8::/64","pool":"2001:db8::/112","block":122}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := DecodeConfig(text)
		if err != nil {
			return
		}
		again, err := DecodeConfig(c.Encode())
		if err != nil || string(again.Encode()) != string(c.Encode()) {
			t.Errorf("%s is read as %s, %v", c.Encode(), again.Encode(), err)
		}
		n := 0
		for b := range c.usableBlocks() {
			if first, last := c.Bounds(b); !c.Has(b) || !b.Contains(first) || !b.Contains(last) || first.Compare(last) > 0 {
				t.Fatalf("block %s from %s to %s", b, first, last)
			}
			if n++; n > 100 {
				break
			}
		}
	})
}
