package nft

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Build makes what was missing when Publish said ErrNotBuilt, and publishes the entry: the chains of
// its network, or the whole table anew, with what everybody has in it. The caller holds the lock
// that all builders of this host take; everybody lists the entries of all attachments that are not
// dead, and is asked only for a new table. ErrNewer and ErrForeign leave things as they are.
func (r *Ruleset) Build(e Entry, everybody func() ([]Entry, error)) error {
	return r.BuildReplacing(e, func(string) bool { return false }, everybody)
}

// BuildReplacing is Build that takes the place of owners that are gone, as Replace does.
func (r *Ruleset) BuildReplacing(e Entry, gone func(owner string) bool, everybody func() ([]Entry, error)) error {
	publish := func() error { return r.PublishReplacing(e, gone) }
	err := publish() // another builder may have had the lock before
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
	// As it was seen above: what has been built since is not to be replaced.
	if err := r.rebuild(built, everybody); err != nil {
		return err
	}
	return publish()
}

// Rebuild makes the table anew, whatever version it has, with what everybody has in it. Who was not
// listed yet, and published while the table was built, is seen by a second look. Of two who want one
// thing the one that had it keeps it; the other one's own ADD is told.
func (r *Ruleset) Rebuild(everybody func() ([]Entry, error)) error {
	was, err := r.built()
	if err != nil {
		return err
	}
	return r.rebuild(was, everybody)
}

// rebuild is Rebuild of a table that had a version, 0 for none, when it was looked at.
func (r *Ruleset) rebuild(was int, everybody func() ([]Entry, error)) error {
	first, err := everybody()
	if err != nil {
		return err
	}
	err = r.build(first, was == 0)
	if was == 0 && errors.Is(err, unix.EEXIST) {
		first, err = nil, nil // built meanwhile by one who has another lock; ours go into that
	}
	if err != nil {
		return err
	}
	second, err := everybody()
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

// built is the version of the table: 0 if there is none, ErrForeign if there is one without version.
// Our own version is asked for by its name: the list of chains, which tells another, is told by the
// kernel in pieces, and misses one if somebody removes a chain of theirs meanwhile.
func (r *Ruleset) built() (int, error) {
	return r.builtIn(header())
}

// builtIn is built for the table of a family.
func (r *Ruleset) builtIn(of []byte) (int, error) {
	has, err := r.hasTable(of)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return 0, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil || !has {
		return 0, err
	}
	has, err = r.has(of, unix.NFT_MSG_GETCHAIN, map[uint16]string{unix.NFTA_CHAIN_TABLE: tableName, unix.NFTA_CHAIN_NAME: schemaChain + strconv.Itoa(Schema())})
	if err != nil || has {
		return Schema(), err
	}
	chains, err := r.chains(of)
	if err != nil {
		return 0, err
	}
	for _, name := range chains {
		text, found := strings.CutPrefix(name, schemaChain)
		if n, err := strconv.Atoi(text); found && err == nil && n > 0 {
			return n, nil
		}
	}
	if has, err = r.hasTable(of); err == nil && has {
		err = fmt.Errorf("table %s %s of nftables %w: it has no chain %sN", familyName(of), tableName, ErrForeign, schemaChain)
	}
	return 0, err
}

// HasTable reports whether there is a table of our name, whoever made it.
func (r *Ruleset) HasTable() (bool, error) { return r.hasTable(header()) }

func (r *Ruleset) hasTable(of []byte) (bool, error) {
	return r.has(of, unix.NFT_MSG_GETTABLE, map[uint16]string{unix.NFTA_TABLE_NAME: tableName})
}

func familyName(of []byte) string {
	if of[0] == unix.NFPROTO_BRIDGE {
		return "bridge"
	}
	return "inet"
}

// has asks for one thing by its names.
func (r *Ruleset) has(of []byte, kind uint16, names map[uint16]string) (bool, error) {
	body, err := named(names)
	if err != nil {
		return false, err
	}
	copy(body, of)
	_, err = r.ask(kind, 0, body)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for table %s of nftables: %w", tableName, err)
	}
	return true, nil
}

// named is the body of a message about one thing.
func named(names map[uint16]string) ([]byte, error) {
	ae := netlink.NewAttributeEncoder()
	for attribute, name := range names {
		ae.String(attribute, name)
	}
	body, err := ae.Encode()
	return append(header(), body...), err
}

// chains are the names of those of the table of a family.
func (r *Ruleset) chains(of []byte) ([]string, error) {
	answers, err := r.ask(unix.NFT_MSG_GETCHAIN, netlink.Dump, of)
	if err != nil {
		return nil, fmt.Errorf("list chains of nftables: %w", err)
	}
	var names []string
	for _, answer := range answers {
		var inTable, name string
		err := eachAttribute(answer.Data[min(len(answer.Data), len(header())):], func(ad *netlink.AttributeDecoder) {
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

// addChains adds what an entry needs and the skeleton has not: the chains of its network, that of an
// unusual bit, the bridge family's table. The caller holds the lock of builders.
func (r *Ruleset) addChains(e Entry) error {
	c, err := r.draft()
	if err != nil {
		return err
	}
	if len(e.Addresses) > 0 {
		networkChains(c.Conn, table(), e)
	}
	if e.marks() {
		has, err := r.has(header(), unix.NFT_MSG_GETCHAIN, map[uint16]string{unix.NFTA_CHAIN_TABLE: tableName, unix.NFTA_CHAIN_NAME: e.marking()})
		if err != nil {
			return err
		}
		if !has {
			markingChain(c.Conn, table(), e)
		}
	}
	if e.Isolation == Isolated {
		if err := r.addBridgeTable(c); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return fmt.Errorf("add chains of network %s to nftables: %w", e.Network, lacking(err))
	}
	return nil
}

// addBridgeTable adds the table where it is missing.
func (r *Ruleset) addBridgeTable(c *draft) error {
	built, err := r.builtIn(bridgeHeader())
	if err != nil || built != 0 {
		return err
	}
	t := bridgeTable()
	c.CreateTable(t)
	return skeleton(c.Conn, t, schemaChain+strconv.Itoa(Schema()))
}

// atOnce is how many elements go into one transaction: what the smallest send buffer holds.
const atOnce = 400

// mostMessages is how many messages of chains and rules go into one transaction: what the send buffer
// holds that root of a user namespace gets (net.core.wmem_max).
const mostMessages = 1000

// chunks are the elements in pieces for one transaction each, every key once: of two owners of one
// address, which only a host can have whose two networks share bridge and subnet, the first has it.
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

// build makes the table: in the place of the one that is there, or as the first. The first is
// exclusive: of two builders without a common lock one fails with EEXIST, and nobody's elements are
// lost; in a replacement they would be, which is what the lock is for. A table with more elements
// or chains than one transaction holds is filled by further ones.
func (r *Ruleset) build(entries []Entry, isFirst bool) error {
	elements, err := r.wantedBy(entries, isFirst)
	if err != nil {
		return err
	}
	c, err := r.draft()
	if err != nil {
		return err
	}
	if err := r.buildTables(c, entries, isFirst); err != nil {
		return err
	}
	if err := allChains(c, table(), entries); err != nil {
		return err
	}
	for i, chunk := range chunks(elements) {
		if i > 0 {
			if err := flush(c); err != nil {
				return err
			}
		}
		if c.extra, err = elementMessages(bySet(chunk), unix.NFT_MSG_NEWSETELEM, netlink.Create); err != nil {
			return err
		}
	}
	return flush(c)
}

// buildTables begins with the tables, empty of what is not on every host.
func (r *Ruleset) buildTables(c *draft, entries []Entry, isFirst bool) error {
	schema := schemaChain + strconv.Itoa(Schema())
	t := table()
	if !isFirst {
		c.AddTable(t) // so that one that went away meanwhile is no error
		c.DelTable(t)
	}
	c.CreateTable(t)
	if err := skeleton(c.Conn, t, schema); err != nil {
		return fmt.Errorf("encode table of nftables: %w", err)
	}
	needed := slices.ContainsFunc(entries, func(e Entry) bool { return e.Isolation == Isolated })
	there, err := r.builtIn(bridgeHeader())
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

// allChains adds each network's chains once.
func allChains(c *draft, t *nftables.Table, entries []Entry) error {
	made := map[string]bool{}
	queued := 0
	for _, e := range entries {
		if e.marks() && !made[e.marking()] {
			made[e.marking()] = true
			markingChain(c.Conn, t, e)
		}
		if len(e.Addresses) == 0 || made[e.masquerade()] {
			continue
		}
		made[e.masquerade()] = true
		networkChains(c.Conn, t, e)
		queued += 2 * (len(e.exclusions()) + 3)
		if queued < mostMessages {
			continue
		}
		queued = 0
		if err := flush(c); err != nil {
			return err
		}
	}
	return nil
}

func flush(c *draft) error {
	if err := c.flush(); err != nil {
		return fmt.Errorf("build table %s of nftables: %w", tableName, lacking(err))
	}
	return nil
}

// lacking names what a kernel does not have that refuses a chain's type or an expression.
func lacking(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w with NAT (modules nf_tables, nft_chain_nat, nft_nat, nft_masq, nft_ct, nft_fib_inet): %w", ErrUnsupported, err)
	}
	return err
}
