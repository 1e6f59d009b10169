package nft

import (
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// networkChains adds the two chains that an entry's elements lead to. Chains of that name hold these
// rules or, if somebody has edited them, get them again.
func networkChains(c *nftables.Conn, t *nftables.Table, e Entry) {
	last := map[string][]expr.Any{
		e.masquerade(): {&expr.Masq{FullyRandom: e.RandomFully}},
		e.invalid():    {&expr.Verdict{Kind: expr.VerdictDrop}},
	}
	for _, name := range []string{e.masquerade(), e.invalid()} {
		chain := c.AddChain(&nftables.Chain{Table: t, Name: name})
		c.FlushChain(chain)
		for _, p := range e.exclusions() {
			rule(c, chain, "", isTo(p), []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}})
		}
		rule(c, chain, "", last[name])
	}
}

// isTo is `ip daddr <prefix>`.
func isTo(p netip.Prefix) []expr.Any {
	destination := &expr.Payload{DestRegister: unix.NFT_REG_1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
	if !p.Addr().Is4() {
		destination.Offset, destination.Len = 24, 16
	}
	is := append(isFamily(p.Addr().Is4()), destination)
	if !p.IsSingleIP() {
		is = append(is, &expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: destination.Len,
			Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()), Xor: make([]byte, destination.Len),
		})
	}
	return append(is, &expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: p.Masked().Addr().AsSlice()})
}
