package nft

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
	"github.com/patchbay-cni/patchbay/pkg/nlsock"
)

// Usable returns why Publish cannot succeed: ErrUnsupported, ErrNewer, ErrForeign, or
// nil. It changes nothing.
func (r *Ruleset) Usable() error {
	built, err := r.built() // also ErrUnsupported
	if err == nil && built > Schema() {
		err = tooNew(built)
	}
	return err
}

// UsableOnBridge returns the same error as Usable, for table bridge patchbay, which
// isolated and spoof-checked networks need in addition.
func (r *Ruleset) UsableOnBridge() error {
	built, err := r.builtIn(familyBridge)
	if err == nil && built > Schema() {
		err = tooNew(built)
	}
	return err
}

// tooNew returns ErrNewer with both versions.
func tooNew(built int) error {
	return fmt.Errorf("table %s of nftables: %w: it has version %d, this one knows versions up to %d", tableName, ErrNewer, built, Schema())
}

// Owners returns the comments of all elements, sorted, each once. Without nf_tables
// there are none.
func (r *Ruleset) Owners() ([]string, error) {
	all, err := r.listWhole(names())
	if nfnl.IsUnsupported(err) {
		return nil, nil // without nf_tables there are no elements
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

// Sweep removes the chains of a network that no element refers to: those of former
// settings. The caller holds the builders' lock. A chain that gets an element
// meanwhile is busy (EBUSY) and stays.
// Each chain has its own
// transaction, so that one that is busy does not keep the others.
func (r *Ruleset) Sweep(network string) error {
	return errors.Join(r.sweep(familyInet, network), r.sweep(familyBridge, network))
}

// sweep is Sweep for the table of a family.
func (r *Ruleset) sweep(family tableFamily, network string) error {
	idle, err := r.idleChains(family, network)
	if err != nil {
		return err
	}
	for _, name := range idle {
		body, err := named(map[uint16]string{unix.NFTA_CHAIN_TABLE: tableName, unix.NFTA_CHAIN_NAME: name})
		if err != nil {
			return err
		}
		err = r.commit([]nlsock.Message{nfnl.NftablesRequest(unix.NFT_MSG_DELCHAIN, 0, byte(family), body)})
		if err != nil && !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove chain %s of nftables: %w", name, err)
		}
	}
	return nil
}

// idleChains lists the chains of a network that no element refers to.
func (r *Ruleset) idleChains(family tableFamily, network string) ([]string, error) {
	if has, err := r.hasTable(family); err != nil || !has {
		return nil, err
	}
	chains, err := r.chains(family)
	if err != nil {
		return nil, err
	}
	elements, err := r.listWhole(names())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(chains, func(name string) bool {
		return !isChainOf(name, network) || slices.ContainsFunc(elements, func(e element) bool { return e.chain == name && setSpecOf(e.set).family() == family })
	}), nil
}

// isChainOf reports whether a chain's name is one that Entry.chain returns for a
// network.
func isChainOf(name, network string) bool {
	kind, rest, _ := strings.Cut(name, "_")
	hash, found := strings.CutPrefix(rest, network[:min(len(network), longestInName)]+"_")
	return found && (kind == "masq" || kind == "invalid" || kind == egressChain) && len(hash) == 8 && strings.Trim(hash, "0123456789abcdef") == ""
}

// SweepBridges removes the elements of bridges that none of the live entries needs.
// The caller holds the builders' lock exclusively.
// They have no owner, because all attachments of a bridge share them: counting the
// references would need a change of an element on each ADD and DEL. An element that
// stays too long affects only the named bridge.
func (r *Ruleset) SweepBridges(live []Entry) error {
	if has, err := r.HasTable(); err != nil || !has {
		return err
	}
	want := map[string]bool{}
	var sets []string
	for _, s := range setSpecs() {
		if s.isPerBridge() {
			sets = append(sets, s.name)
		}
	}
	for _, e := range live {
		for _, one := range e.shared() {
			want[one.set+" "+one.key] = true
		}
	}
	_, err := r.remove(func() ([]element, error) {
		there, err := r.listWhole(sets)
		return owned(slices.DeleteFunc(there, func(e element) bool { return want[e.set+" "+e.key] }), ""), err
	})
	return err
}

// LocalnetBridges returns the bridges whose packets to and from 127.0.0.0/8 are
// dropped because route_localnet is set. Without the table there are none.
func (r *Ruleset) LocalnetBridges() ([]string, error) {
	there, err := r.listWhole([]string{"localnet"})
	if err != nil {
		return nil, err
	}
	var bridges []string
	for _, e := range there {
		if e.comment == "" { // else an interface of one attachment, and removed with it
			bridges = append(bridges, setSpecOf(e.set).text(e.key))
		}
	}
	return bridges, nil
}
