package nft

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Usable says, without changing anything, why no Publish could pass: ErrUnsupported, ErrNewer,
// ErrForeign, or nil.
func (r *Ruleset) Usable() error {
	if err := r.Supported(); err != nil {
		return err
	}
	built, err := r.built()
	if err == nil && built > Schema() {
		err = tooNew(built)
	}
	return err
}

func tooNew(built int) error {
	return fmt.Errorf("table %s of nftables %w: it has version %d, this one knows versions up to %d", tableName, ErrNewer, built, Schema())
}

// Owners are the comments of all elements, each once: mark and key of who has something here.
func (r *Ruleset) Owners() ([]string, error) {
	all, err := r.listWhole(names())
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil // without nf_tables nobody has an element
	}
	var owners []string
	for _, e := range all {
		if e.comment != "" {
			owners = append(owners, e.comment)
		}
	}
	slices.Sort(owners)
	return slices.Compact(owners), err
}

// Sweep removes the chains of a network that no element leads to: those of settings that it had
// once. The caller holds the lock that builders take; a chain that somebody publishes into
// meanwhile is busy, and stays.
func (r *Ruleset) Sweep(network string) error {
	idle, err := r.idleChains(network)
	if err != nil {
		return err
	}
	for _, name := range idle {
		body, err := named(map[uint16]string{unix.NFTA_CHAIN_TABLE: tableName, unix.NFTA_CHAIN_NAME: name})
		if err != nil {
			return err
		}
		err = r.commit([]netlink.Message{message(unix.NFT_MSG_DELCHAIN, netlink.Acknowledge, body)})
		if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove chain %s of nftables: %w", name, err)
		}
	}
	return nil
}

// idleChains are those that are named as a network's, less those that elements lead to.
func (r *Ruleset) idleChains(network string) ([]string, error) {
	if has, err := r.HasTable(); err != nil || !has {
		return nil, err
	}
	chains, err := r.chains(header())
	if err != nil {
		return nil, err
	}
	elements, err := r.listWhole(names())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(chains, func(name string) bool {
		return !isChainOf(name, network) || slices.ContainsFunc(elements, func(e element) bool { return e.chain == name })
	}), nil
}

// isChainOf reports whether a name is one that Entry.chain makes for a network.
func isChainOf(name, network string) bool {
	kind, rest, _ := strings.Cut(name, "_")
	hash, found := strings.CutPrefix(rest, network[:min(len(network), longestInName)]+"_")
	return found && (kind == "masq" || kind == "invalid") && len(hash) == 8 && strings.Trim(hash, "0123456789abcdef") == ""
}

// SweepBridges removes what bridges have in the ruleset for attachments that are not there any more:
// only those of the given entries keep it. The caller holds the lock that builders take, exclusively.
func (r *Ruleset) SweepBridges(living []Entry) error {
	if has, err := r.HasTable(); err != nil || !has {
		return err
	}
	wanted := map[string]bool{}
	var sets []string
	for _, s := range shapes() {
		if s.ofBridges() {
			sets = append(sets, s.name)
		}
	}
	for _, e := range living {
		for _, one := range e.shared() {
			wanted[one.set+" "+one.key] = true
		}
	}
	_, err := r.remove(func() ([]element, error) {
		there, err := r.listWhole(sets)
		return slices.DeleteFunc(there, func(e element) bool { return wanted[e.set+" "+e.key] }), err
	}, "")
	return err
}

// Closed returns the bridges that are kept from the host's 127.0.0.0/8. Without the table there are none.
func (r *Ruleset) Closed() ([]string, error) {
	there, err := r.listWhole([]string{"localnet"})
	if err != nil {
		return nil, err
	}
	var bridges []string
	for _, e := range there {
		bridges = append(bridges, shapeOf(e.set).text(e.key))
	}
	return bridges, nil
}
