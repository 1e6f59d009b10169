// Package nfnl speaks nfnetlink (linux/netfilter/nfnetlink.h) over pkg/nlsock: the header of its
// messages, nftables transactions and generations, and the comments in user data. It knows no table,
// chain or flow: those are of pkg/nft, pkg/firewall and pkg/conntrack.
//
//	c, err := nfnl.Open()
//	tables := nfnl.Header{Subsystem: unix.NFNL_SUBSYS_NFTABLES, Kind: unix.NFT_MSG_GETTABLE, Family: unix.NFPROTO_INET}
//	answers, err := c.Ask(nfnl.Request(tables, attributes))
//	err = c.Commit(messages) // one transaction
//	consistent, err := c.ReadConsistently(func() (final bool, err error) { ... })
//	c.Close()
package nfnl
