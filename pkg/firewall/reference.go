package firewall

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Reference is an attachment that the reference plugins
// (github.com/containernetworking/plugins) may have made.
type Reference struct {
	Network, ContainerID, IfName string
	Addresses                    []netip.Addr // reserved for it
	Seen                         []netip.Addr // that its interface had, which the container may have chosen
}

// RemoveReference deletes the rules that the reference plugins bridge, ptp, portmap
// and firewall added for an attachment, as their own DEL does, in tables of nftables
// (iptables-nft included) and in table nat of iptables-legacy. These are
//
//	ip nat, ip6 nat         chain CNI-HASH (ipMasq) and the rules of POSTROUTING that jump to it
//	                        chain CNI-DN-HASH (portMappings) and the rules of CNI-HOSTPORT-DNAT that jump to it
//	bridge nat              chains cni-br-iface-ID-IFNAME and ...-mac (macspoofchk), and the rule of PREROUTING
//	inet cni_plugins_masquerade, ip and ip6 cni_hostport   rules with the attachment's comment
//	ip filter, ip6 filter   rules of CNI-FORWARD that accept one of the addresses
//
// Names and comments follow from network, container ID and interface name. A chain
// that two attachments share, because they have the same hash, loses only the rules
// with this attachment's comment. Chains that serve all attachments stay. It reports
// whether it removed something. It asks for each chain by name and lists rules only
// of chains that exist.
func (f *Filters) RemoveReference(r Reference) (removed bool, err error) {
	f.begin()
	const tries = 5 // the kernel refuses all if another process deleted a rule first
	for range tries {
		var messages []nlsock.Message
		if messages, err = f.ofReference(r); err != nil || len(messages) == 0 {
			break
		}
		if err = f.conn.Commit(messages); err == nil {
			removed = true
			break
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	legacy, failed := f.removeLegacy(r)
	if err = errors.Join(err, failed); err != nil {
		return false, fmt.Errorf("remove rules of the reference plugins for %s/%s/%s: %w", r.Network, r.ContainerID, r.IfName, err)
	}
	return removed || legacy, nil
}

// ofReference returns the messages of one transaction.
func (f *Filters) ofReference(r Reference) (messages []nlsock.Message, err error) {
	for _, c := range r.chains() {
		more, err := f.removingChain(c)
		if err != nil {
			return nil, err
		}
		messages = append(messages, more...)
	}
	for p, belongs := range r.rules() {
		has, err := f.hasChain(p)
		if err != nil {
			return nil, err
		}
		if !has {
			continue
		}
		all, err := f.rules(p)
		if err != nil {
			return nil, err
		}
		for _, one := range all {
			if !belongs(one) {
				continue
			}
			if messages, err = appendMessage(messages, deletion(p, one.handle)); err != nil {
				return nil, err
			}
		}
	}
	return messages, nil
}

// privateChain is a chain that the reference plugins created for one attachment.
type privateChain struct {
	place
	inner   string // a chain that only this one jumps to; "" for none
	entry   string // the chain whose rules jump to it
	comment string // of these rules, and of those within
}

// chains returns the attachment's chains.
func (r Reference) chains() []privateChain {
	masquerade := fmt.Sprintf("name: %q id: %q", r.Network, r.ContainerID)
	ports := fmt.Sprintf(`dnat name: "%s" id: "%s"`, r.Network, r.ContainerID)
	if len(ports) > 255 { // portmap's limit
		ports = ports[:253] + "..."
	}
	id := r.ContainerID + "-" + r.IfName
	spoof := "cni-br-iface-" + id
	var all []privateChain
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		all = append(
			all,
			privateChain{place: place{false, family, "nat", r.chainName("")}, entry: "POSTROUTING", comment: masquerade},
			privateChain{place: place{false, family, "nat", r.chainName("DN-")}, entry: "CNI-HOSTPORT-DNAT", comment: ports},
		)
	}
	return append(all, privateChain{
		place: place{false, unix.NFPROTO_BRIDGE, "nat", spoof}, inner: spoof + "-mac", entry: "PREROUTING", comment: "macspoofchk-" + id,
	})
}

// chainName returns the name that the reference's pkg/utils derives: 28 bytes that
// end with a hash.
func (r Reference) chainName(prefix string) string {
	const length = 28
	return ("CNI-" + prefix + hash(r.Network+r.ContainerID))[:length]
}

func hash(text string) string {
	sum := sha512.Sum512([]byte(text))
	return hex.EncodeToString(sum[:])
}

// rules returns the chains in which the reference plugins have rules of many
// attachments, and a function that reports which are this one's.
func (r Reference) rules() map[place]func(rule) bool {
	instance := hash(r.Network)[:16] + "-" + hash(r.IfName + ":" + r.ContainerID)[:16]
	all := map[place]func(rule) bool{
		{false, unix.NFPROTO_INET, "cni_plugins_masquerade", "masq_checks"}: func(one rule) bool {
			return one.comment == instance || strings.HasPrefix(one.comment, instance+",")
		},
	}
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		for _, name := range []string{"hostports", "hostip_hostports", "masquerading"} {
			all[place{false, family, "cni_hostport", name}] = r.isPort
		}
		if len(r.Addresses) > 0 {
			all[place{false, family, "filter", "CNI-FORWARD"}] = r.isAccept
		}
	}
	return all
}

// isPort reports whether a rule of portmap is the attachment's. Its comment is the
// container ID alone, also for a second network of the container; the address
// distinguishes them.
func (r Reference) isPort(one rule) bool {
	return one.comment == r.ContainerID && names(one, slices.Concat(r.Addresses, r.Seen))
}

// names reports whether a rule compares with, or translates to, one of some
// addresses.
func names(one rule, addrs []netip.Addr) bool {
	return slices.ContainsFunc(one.expressions, func(e expression) bool {
		value := e.with.nested(unix.NFTA_CMP_DATA).values[unix.NFTA_DATA_VALUE]
		if e.name == "immediate" {
			value = e.with.nested(unix.NFTA_IMMEDIATE_DATA).values[unix.NFTA_DATA_VALUE]
		}
		is := func(a netip.Addr) bool { return bytes.Equal(a.AsSlice(), value) }
		return (e.name == "immediate" || e.name == "cmp") && slices.ContainsFunc(addrs, is)
	})
}

// isAccept reports whether a rule is one of the two that the firewall plugin adds for
// an address:
//
//	-s ADDRESS -j ACCEPT
//	-d ADDRESS -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
func (r Reference) isAccept(one rule) bool {
	var kinds []string
	for _, e := range one.expressions {
		if e.name != "counter" {
			kinds = append(kinds, e.name)
		}
	}
	source := slices.Equal(kinds, []string{"payload", "cmp", "immediate"})
	dest := slices.Equal(kinds, []string{"payload", "cmp", "match", "immediate"})
	last := one.expressions[max(0, len(one.expressions)-1):]
	return (source || dest) && verdictOf(last[0].with.nested(unix.NFTA_IMMEDIATE_DATA)).kind == accept && names(one, r.Addresses)
}

// removingChain returns the messages that delete a chain of the attachment and the
// rules that jump to it.
func (f *Filters) removingChain(c privateChain) (messages []nlsock.Message, err error) {
	if has, err := f.hasChain(c.place); err != nil || !has {
		return nil, err
	}
	entry := c.place
	entry.name = c.entry
	jumps, err := f.jumps(entry, c.name)
	if err != nil {
		return nil, err
	}
	shared := false
	for _, j := range jumps {
		if !c.owns(j) {
			shared = true
			continue
		}
		if messages, err = appendMessage(messages, deletion(entry, j.handle)); err != nil {
			return nil, err
		}
	}
	within, err := f.rules(c.place)
	if err != nil {
		return nil, err
	}
	if !shared && !slices.ContainsFunc(within, func(one rule) bool { return !c.owns(one) }) {
		return f.removingWhole(c, messages)
	}
	for _, one := range within {
		if one.anyComment() != c.comment {
			continue
		}
		if messages, err = appendMessage(messages, deletion(c.place, one.handle)); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// removingWhole appends the messages that flush and delete the chain and its inner
// chain.
func (f *Filters) removingWhole(c privateChain, messages []nlsock.Message) (_ []nlsock.Message, err error) {
	chains, inner := []place{c.place}, c.place
	inner.name = c.inner
	has := false
	if c.inner != "" {
		has, err = f.hasChain(inner)
	}
	if err != nil {
		return nil, err
	}
	if has {
		chains = append(chains, inner)
	}
	for _, p := range chains {
		if messages, err = appendMessage(messages, change{unix.NFT_MSG_DELRULE, 0, p, nil}); err != nil {
			return nil, err
		}
	}
	for _, p := range chains {
		body, err := netlink.MarshalAttributes([]netlink.Attribute{attribute(unix.NFTA_CHAIN_TABLE, cstring(p.table)), attribute(unix.NFTA_CHAIN_NAME, cstring(p.name))})
		if err != nil {
			return nil, err
		}
		messages = append(messages, nfnl.NftablesRequest(unix.NFT_MSG_DELCHAIN, 0, p.family, body))
	}
	return messages, nil
}

// owns reports whether a rule is the attachment's.
func (c privateChain) owns(one rule) bool { return c.ownsComment(one.anyComment()) }

// ownsComment reports whether a rule with this comment is the attachment's; rules
// within a chain of portmap have none.
func (c privateChain) ownsComment(comment string) bool { return comment == c.comment || comment == "" }

// anyComment returns the comment of iptables, or that of nft.
func (r rule) anyComment() string {
	if comment := r.xtComment(); comment != "" {
		return comment
	}
	return r.comment
}

// jumps lists the rules of a chain that jump to another chain.
func (f *Filters) jumps(p place, to string) (found []rule, err error) {
	if has, err := f.hasChain(p); err != nil || !has {
		return nil, err
	}
	all, err := f.rules(p)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		if slices.ContainsFunc(one.expressions, func(e expression) bool { return leadsTo(e, to) }) {
			found = append(found, one)
		}
	}
	return found, nil
}

// leadsTo reports whether an expression jumps to a chain.
func leadsTo(e expression, chain string) bool {
	v := verdictOf(e.with.nested(unix.NFTA_IMMEDIATE_DATA))
	return e.name == "immediate" && (v.kind == jump || v.kind == gotoChain) && v.target == chain
}
