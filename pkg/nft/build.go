package nft

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/patchbay-cni/patchbay/pkg/nfnl"
)

// Build adds what is missing after Publish returned ErrNotBuilt, and publishes the
// entry: the chains of its network, or the whole table with the elements of all
// attachments. The caller holds the exclusive lock that all builders of this host
// take. allEntries lists the entries of all live attachments; it is called only for a
// new table. ErrNewer and ErrForeign change nothing.
func (r *Ruleset) Build(e Entry, allEntries func() ([]Entry, error)) error {
	return r.BuildReplacing(e, func(string) bool { return false }, allEntries)
}

// BuildReplacing builds as Build does, and replaces stale owners as Replace does.
// It tries the cheapest repair first: the elements, then the chains of the network,
// then the whole table. ENOENT after the chains were added means that a set or a chain
// of the skeleton is missing although the version is right: another program has
// changed the table, and only a new one helps.
func (r *Ruleset) BuildReplacing(e Entry, isStale func(owner string) bool, allEntries func() ([]Entry, error)) error {
	publish := func() error { return r.PublishReplacing(e, isStale) }
	err := publish() // another builder may have held the lock before
	if !errors.Is(err, ErrNotBuilt) {
		return err
	}
	built, err := r.built()
	if err != nil {
		return err
	}
	if built == Schema() {
		err = r.addChains(e)
		if err == nil {
			err = publish()
		}
		if err == nil || !errors.Is(err, unix.ENOENT) && !errors.Is(err, ErrNotBuilt) {
			return err
		}
	}
	if built > Schema() {
		return tooNew(built)
	}
	// With the version read above: a table built since then must not be replaced.
	if err := r.rebuild(built, allEntries); err != nil {
		return err
	}
	return publish()
}

// Rebuild builds the table anew, whatever its version, with the elements of all
// entries. allEntries is called a second time at the end, for attachments that were
// published while the table was built. Of two entries that conflict the one with an
// element in the old table keeps it; the ADD of the other one gets the error.
func (r *Ruleset) Rebuild(allEntries func() ([]Entry, error)) error {
	was, err := r.built()
	if err != nil {
		return err
	}
	return r.rebuild(was, allEntries)
}

// rebuild is Rebuild of a table that had a version when it was read, 0 for no table.
// The entries are listed twice because an ADD writes its record before it publishes: a
// record that was written after the first list is found by the second one. The lock
// alone does not exclude such an ADD, as another state directory may have its own.
func (r *Ruleset) rebuild(was int, allEntries func() ([]Entry, error)) error {
	first, err := allEntries()
	if err != nil {
		return err
	}
	err = r.build(first, was == 0)
	if was == 0 && errors.Is(err, unix.EEXIST) {
		first, err = nil, nil // built meanwhile by another state directory, which has its own lock: add to that table
	}
	if err != nil {
		return err
	}
	second, err := allEntries()
	if err != nil {
		return err
	}
	for _, e := range second {
		if slices.ContainsFunc(first, func(f Entry) bool { return f.Owner == e.Owner }) {
			continue
		}
		failed := errors.Join(r.addChains(e), r.Publish(e))
		if isTaken := new(TakenError); !errors.As(failed, &isTaken) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// built returns the version of table inet patchbay: 0 if it does not exist,
// ErrForeign if it has no version. It asks for the chain of our own version by name
// first: the dump of all chains comes in several parts, and misses a chain if another
// program removes one of its own between two parts.
func (r *Ruleset) built() (int, error) {
	return r.builtIn(familyInet)
}

// builtIn is built for the table of a family.
func (r *Ruleset) builtIn(family tableFamily) (int, error) {
	has, err := r.hasTable(family)
	if nfnl.IsUnsupported(err) {
		return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil || !has {
		return 0, err
	}
	has, err = r.has(family, unix.NFT_MSG_GETCHAIN, map[uint16]string{unix.NFTA_CHAIN_TABLE: tableName, unix.NFTA_CHAIN_NAME: schemaChain + strconv.Itoa(Schema())})
	if err != nil || has {
		return Schema(), err
	}
	chains, err := r.chains(family)
	if err != nil {
		return 0, err
	}
	for _, name := range chains {
		text, found := strings.CutPrefix(name, schemaChain)
		if n, err := strconv.Atoi(text); found && err == nil && n > 0 {
			return n, nil
		}
	}
	if has, err = r.hasTable(family); err == nil && has {
		err = fmt.Errorf("table %s %s of nftables: %w: it has no chain %sN", family, tableName, ErrForeign, schemaChain)
	}
	return 0, err
}

// HasTable reports whether table inet patchbay exists. It does not read the version: another program may
// have created the table.
func (r *Ruleset) HasTable() (bool, error) { return r.hasTable(familyInet) }

// IsTable reports whether a table, by its family (unix.NFPROTO_*) and name, is one that this package builds.
func IsTable(family byte, name string) bool {
	return name == tableName && (tableFamily(family) == familyInet || tableFamily(family) == familyBridge)
}

// hasTable is HasTable for a family.
func (r *Ruleset) hasTable(family tableFamily) (bool, error) {
	return r.has(family, unix.NFT_MSG_GETTABLE, map[uint16]string{unix.NFTA_TABLE_NAME: tableName})
}

// has asks for one object by its names.
func (r *Ruleset) has(family tableFamily, kind uint16, names map[uint16]string) (bool, error) {
	body, err := named(names)
	if err != nil {
		return false, err
	}
	_, err = r.ask(kind, 0, byte(family), body)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up table %s of nftables: %w", tableName, err)
	}
	return true, nil
}

// named encodes attributes that are names.
// The kernel does not depend on the order of attributes, which is that of a
// Go map here.
func named(names map[uint16]string) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	for attribute, name := range names {
		ae.String(attribute, name)
	}
	return ae.Encode()
}

// chains lists the names of the chains of the table of a family. It filters by table
// itself: the kernel dumps the chains of all tables.
func (r *Ruleset) chains(family tableFamily) ([]string, error) {
	answers, err := r.ask(unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP, byte(family), nil)
	if err != nil {
		return nil, fmt.Errorf("list chains of nftables: %w", err)
	}
	var names []string
	for _, answer := range answers {
		var inTable, name string
		err := eachAttribute(nfnl.Attributes(answer), func(ad *netlink.AttributeDecoder) {
			switch ad.Type() {
			case unix.NFTA_CHAIN_TABLE:
				inTable = ad.String()
			case unix.NFTA_CHAIN_NAME:
				name = ad.String()
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read chains of nftables: %w", err)
		}
		if inTable == tableName {
			names = append(names, name)
		}
	}
	return names, nil
}

// addChains adds what an entry needs beyond the skeleton: the chains of its network,
// the chain of its mark bit, the table of the bridge family. The caller holds the
// builders' lock.
func (r *Ruleset) addChains(e Entry) error {
	c, err := r.begin()
	if err != nil {
		return err
	}
	if len(e.Addresses) > 0 {
		networkChains(c.Conn, table(), e)
	}
	if e.marks() {
		has, err := r.has(familyInet, unix.NFT_MSG_GETCHAIN, map[uint16]string{unix.NFTA_CHAIN_TABLE: tableName, unix.NFTA_CHAIN_NAME: e.marking()})
		if err != nil {
			return err
		}
		if !has {
			markingChain(c.Conn, table(), e)
		}
	}
	if e.onBridge() {
		if err := r.addBridgeTable(c); err != nil {
			return err
		}
	}
	if err := egressChains(c.Conn, e); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return fmt.Errorf("add chains of network %s to nftables: %w", e.Network, explainRefusal(err))
	}
	return nil
}

// addBridgeTable adds table bridge patchbay if it does not exist.
func (r *Ruleset) addBridgeTable(c *transaction) error {
	built, err := r.builtIn(familyBridge)
	if err != nil || built != 0 {
		return err
	}
	t := bridgeTable()
	c.CreateTable(t)
	return skeleton(c.Conn, t, schemaChain+strconv.Itoa(Schema()))
}

// atOnce is the number of elements in one transaction: as many as fit into the
// default send buffer.
// The transactions of a build are not atomic together. Packets between two of them
// meet a table that lacks some elements: connections which begin then are not
// masqueraded, and published ports are not translated.
const atOnce = 400

// chunks splits elements into transactions and drops all but the first element of
// each key: two attachments have the same address only if two networks of one host
// share bridge and subnet.
func chunks(elements []element) iter.Seq2[int, []element] {
	seen := map[string]bool{}
	once := slices.DeleteFunc(elements, func(e element) bool {
		key := e.set + " " + e.key
		was := seen[key]
		seen[key] = true
		return was
	})
	return func(yield func(int, []element) bool) {
		n := 0
		for chunk := range slices.Chunk(once, atOnce) {
			if !yield(n, chunk) {
				return
			}
			n++
		}
	}
}

// build builds the table, in place of an existing one or as the first. The first is
// created exclusively: of two builders without a common lock one fails with EEXIST,
// and no elements are lost. A replacement would lose them, which is why builders take
// a lock. If there are more elements or chains than fit into one transaction, further
// transactions add them.
func (r *Ruleset) build(entries []Entry, isFirst bool) error {
	elements, err := r.allElements(entries, isFirst)
	if err != nil {
		return err
	}
	c, err := r.begin()
	if err != nil {
		return err
	}
	if err := r.buildTables(c, entries, isFirst); err != nil {
		return err
	}
	if err := allChains(c, entries); err != nil {
		return err
	}
	for i, chunk := range chunks(elements) {
		if i > 0 {
			if err := flush(c); err != nil {
				return err
			}
		}
		if c.extra, err = elementMessages(bySet(chunk), unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE); err != nil {
			return err
		}
	}
	return flush(c)
}

// buildTables adds both tables to the transaction, with the skeleton alone.
// Deleting and creating a table in one transaction is atomic for packets and for
// readers. NFT_MSG_DESTROYTABLE, which would ignore a missing table, needs Linux 6.3;
// adding the table without NLM_F_EXCL before the deletion has the same effect on
// every version.
//
// The bridge table is deleted with the other one and created only if an entry needs
// it, so a reload removes the cost of its hooks. A foreign table of that name is kept
// if no entry needs ours.
func (r *Ruleset) buildTables(c *transaction, entries []Entry, isFirst bool) error {
	schema := schemaChain + strconv.Itoa(Schema())
	t := table()
	if !isFirst {
		c.AddTable(t) // so that deleting it is no error if it disappeared meanwhile
		c.DelTable(t)
	}
	c.CreateTable(t)
	if err := skeleton(c.Conn, t, schema); err != nil {
		return fmt.Errorf("encode table of nftables: %w", err)
	}
	needed := slices.ContainsFunc(entries, Entry.onBridge)
	there, err := r.builtIn(familyBridge)
	if err != nil && !errors.Is(err, ErrUnsupported) && (needed || !errors.Is(err, ErrForeign)) {
		return err
	}
	b := bridgeTable()
	if there != 0 {
		c.AddTable(b)
		c.DelTable(b)
	}
	if !needed {
		return nil
	}
	c.CreateTable(b)
	if err := skeleton(c.Conn, b, schema); err != nil {
		return fmt.Errorf("encode table of nftables: %w", err)
	}
	return nil
}

// flush commits a part of a build.
func flush(c *transaction) error {
	if err := c.flush(); err != nil {
		return fmt.Errorf("build table %s of nftables: %w", tableName, explainRefusal(err))
	}
	return nil
}

// explainRefusal adds the modules that are missing if the kernel does not know a
// chain's type (ENOENT) or an expression (EOPNOTSUPP).
// The kernel loads such modules itself: it aborts the batch, loads the module and runs
// the batch again (EAGAIN in nfnetlink_rcv_batch), of which the sender sees nothing.
// So these errors mean that the module is not installed or cannot be loaded.
func explainRefusal(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w with NAT (modules nf_tables, nft_chain_nat, nft_nat, nft_masq, nft_ct, nft_fib_inet): %w", ErrUnsupported, err)
	}
	return err
}
