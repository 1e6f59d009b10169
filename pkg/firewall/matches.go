package firewall

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/printable"
)

// ErrNoMatches is wrapped by the error of Allow on a kernel without the matches of iptables that the rules have.
var ErrNoMatches = errors.New("the kernel lacks matches of iptables")

const compatGet = 0 // NFNL_MSG_COMPAT_GET of linux/netfilter/nf_tables_compat.h

// extension is a match of iptables (xtables), as nft_compat names it.
type extension struct {
	name     string
	revision uint32
}

// neededMatches returns the matches that the rules of Allow have.
func neededMatches() []extension { return []extension{{"comment", 0}, {"conntrack", 3}} }

// requireMatches returns an error with the remedy if the kernel lacks one of the matches. Without this question a transaction with
// it fails with ENOENT, which is also the error for a chain that does not exist.
func (f *Filters) requireMatches(family byte, matches []extension) error {
	var lacking []string
	load := []string{"modprobe", "-a", "nft_compat"}
	for _, m := range matches {
		if !f.hasMatch(family, m) {
			lacking, load = append(lacking, m.name), append(load, "xt_"+m.name)
		}
	}
	if lacking == nil {
		return nil
	}
	return fmt.Errorf("%w: %s; load the modules (%s), or open the bridge in that firewall with rules of nft", ErrNoMatches, strings.Join(lacking, ", "), printable.Command(load...))
}

// hasMatch asks nft_compat for a match (net/netfilter/nft_compat.c, nfnl_compat_get_rcu); the kernel loads both if it can. ENOENT means that it has
// no such match, EPROTONOSUPPORT no such revision. After any other error the transaction says what is wrong.
func (f *Filters) hasMatch(family byte, m extension) bool {
	body, err := netlink.MarshalAttributes([]netlink.Attribute{
		attribute(unix.NFTA_COMPAT_NAME, cstring(m.name)), attribute(unix.NFTA_COMPAT_REV, be32(m.revision)), attribute(unix.NFTA_COMPAT_TYPE, be32(0)),
	})
	if err == nil { // with an acknowledgement, because the answer has the flag of a dump, and no end
		_, err = f.conn.Ask(nfnl.Request(nfnl.Header{Subsystem: unix.NFNL_SUBSYS_NFT_COMPAT, Kind: compatGet, Flags: unix.NLM_F_ACK, Family: family}, body))
	}
	return !errors.Is(err, unix.ENOENT) && !nfnl.IsUnsupported(err)
}
