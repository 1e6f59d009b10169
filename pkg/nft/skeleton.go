package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

const (
	tableName   = "patchbay"
	schemaChain = "schema_" // and the version
	version     = 1
)

// newer makes the version of the skeleton one higher for each of its characters. The linker sets it
// (-X) for test/versions, where two versions of patchbay take turns; it is empty everywhere else.
var newer string

// Schema is the version of the skeleton that this patchbay builds and knows.
func Schema() int { return version + len(newer) }

func table() *nftables.Table {
	return &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
}

// maps are the names of those that hold elements of attachments.
func maps() []string { return []string{"masq4", "masq6", "invalid4", "invalid6"} }

func verdictMap(t *nftables.Table, name string) *nftables.Set {
	address := nftables.TypeIPAddr
	if name[len(name)-1] == '6' {
		address = nftables.TypeIP6Addr
	}
	return &nftables.Set{
		Table: t, Name: name, IsMap: true, Concatenation: true,
		KeyType: nftables.MustConcatSetType(nftables.TypeIFName, address), DataType: nftables.TypeVerdict,
	}
}

// skeleton adds what is the same on every host: the version, the maps and the base chains.
func skeleton(c *nftables.Conn, t *nftables.Table, schema string) error {
	c.AddChain(&nftables.Chain{Table: t, Name: schema})
	sets := map[string]*nftables.Set{}
	for _, name := range maps() {
		sets[name] = verdictMap(t, name)
		if err := c.AddSet(sets[name], nil); err != nil {
			return err
		}
	}
	accept := nftables.ChainPolicyAccept
	forward := c.AddChain(&nftables.Chain{
		Table: t, Name: "forward", Type: nftables.ChainTypeFilter, Policy: &accept,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
	})
	postrouting := c.AddChain(&nftables.Chain{
		Table: t, Name: "postrouting", Type: nftables.ChainTypeNAT, Policy: &accept,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	for _, is4 := range []bool{true, false} {
		rule(c, forward, "of no connection: nothing would give it the host's address", isInvalid(), byBridgeAndSource(is4, sets["invalid"+family(is4)]))
		rule(c, postrouting, "containers that leave with the host's address", byBridgeAndSource(is4, sets["masq"+family(is4)]))
	}
	return nil
}

func rule(c *nftables.Conn, chain *nftables.Chain, comment string, parts ...[]expr.Any) {
	r := &nftables.Rule{Table: chain.Table, Chain: chain}
	for _, part := range parts {
		r.Exprs = append(r.Exprs, part...)
	}
	if comment != "" {
		r.UserData = userdata.AppendString(nil, userdata.TypeComment, comment)
	}
	c.AddRule(r)
}

// isInvalid is `ct state invalid`.
func isInvalid() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: unix.NFT_REG_1},
		&expr.Bitwise{
			SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitINVALID), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: unix.NFT_REG_1, Data: make([]byte, 4)},
	}
}

// byBridgeAndSource is `iifname . ip saddr vmap @set`. In postrouting there is an iifname since Linux 5.7.
func byBridgeAndSource(is4 bool, set *nftables.Set) []expr.Any {
	source := &expr.Payload{DestRegister: unix.NFT_REG_2, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
	if !is4 {
		source.Offset, source.Len = 8, 16
	}
	return append(isFamily(is4),
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: unix.NFT_REG_1},
		source,
		&expr.Lookup{SourceRegister: unix.NFT_REG_1, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true, SetName: set.Name, SetID: set.ID},
	)
}

// isFamily is `meta nfproto ipv4`, which nft(8) writes before every look at an address.
func isFamily(is4 bool) []expr.Any {
	proto := byte(unix.NFPROTO_IPV6)
	if is4 {
		proto = unix.NFPROTO_IPV4
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: unix.NFT_REG_1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: unix.NFT_REG_1, Data: []byte{proto}},
	}
}
