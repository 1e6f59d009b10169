package attach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// bridgeMates holds the attachments on the bridge whose addresses are not reserved in the address files of this network. Their records are
// read once, for the first address, and only those of networks whose subnets overlap with this one's: usually there are none.
type bridgeMates struct {
	p        *preflight
	key      store.Key // attachment of the running verb, which is ignored
	checker  *liveness.Checker
	read     bool
	holders  map[netip.Addr][]*mate
	gateways map[netip.Addr][]*mate
}

// mate is one attachment of bridgeMates.
type mate struct {
	record *store.Record
	dirs   store.Dirs
}

// refuse returns an error if a live attachment has the address, or uses it as its gateway. Records that cannot be read are no reason to
// refuse an address: an unreadable record of another network must not prevent an ADD on this one.
func (m *bridgeMates) refuse(addr netip.Addr) error {
	if !m.read {
		m.load()
	}
	for _, mate := range m.holders[addr] {
		if m.isLive(mate) {
			return fmt.Errorf("is the address of container %s of network %s %w", mate.record.ContainerID, mate.record.Network, errOnBridge)
		}
	}
	for _, mate := range m.gateways[addr] {
		if m.isLive(mate) {
			return fmt.Errorf("is the gateway of network %s %w", mate.record.Network, errOnBridge)
		}
	}
	return nil
}

// load reads the records. A concurrent ADD may not have saved its own yet: see (*adding).conflicts.
func (m *bridgeMates) load() {
	m.read = true
	m.holders, m.gateways = map[netip.Addr][]*mate{}, map[netip.Addr][]*mate{}
	for _, note := range m.notes() {
		entries, err := store.ListNetwork(note.StateDir, note.Network)
		if err != nil {
			report.Warn("%v; addresses of network %s on bridge %s are not compared", err, note.Network, m.p.cfg.Segment())
		}
		for _, e := range entries {
			if e.Record != nil && e.Record.SegmentName() == m.p.cfg.Segment() && e.Key != m.key {
				m.add(&mate{e.Record, store.Dirs{State: note.StateDir, Data: e.Record.DataDir}})
			}
		}
	}
}

func (m *bridgeMates) add(mate *mate) {
	for _, address := range mate.record.Addresses {
		addr := address.Address.Addr()
		m.holders[addr] = append(m.holders[addr], mate)
		if mate.record.Network == m.p.cfg.Name {
			continue
		}
		for _, gateway := range []netip.Addr{address.Gateway, address.BridgeGateway} {
			if gateway.IsValid() {
				m.gateways[gateway] = append(m.gateways[gateway], mate)
			}
		}
	}
}

// notes returns the notes of networks whose subnets overlap with this one's, or are unknown.
func (m *bridgeMates) notes() (found []store.BridgeNote) {
	own := m.p.bridgeNote()
	for _, known := range m.p.knownDirs() {
		but := own
		if !m.p.reservesItself() {
			but = store.BridgeNote{}
		}
		notes, err := store.BridgeNotes(known, m.p.cfg.Segment(), but)
		if err != nil {
			report.Warn("%v", err)
		}
		for _, n := range notes {
			same := n.Network == own.Network && n.StateDir == own.StateDir
			if same && m.p.reservesItself() || !n.Overlaps(own.Prefixes) && len(own.Prefixes) > 0 {
				continue
			}
			if !slices.ContainsFunc(found, func(f store.BridgeNote) bool { return f.Network == n.Network && f.StateDir == n.StateDir }) {
				found = append(found, n)
			}
		}
	}
	return found
}

// isLive reports whether an attachment is live or being added: a running verb holds the lock of its record, and its host interface need
// not exist yet.
func (m *bridgeMates) isLive(mate *mate) bool {
	if m.checker == nil {
		checker := liveness.New(m.p.host)
		m.checker = &checker
	}
	switch {
	case m.checker.InOtherHost(mate.record):
		return false // on a bridge of that name in another network namespace
	case !m.checker.IsStale(mate.record):
		return true
	}
	return liveness.IsLocked(mate.dirs, mate.record.Key())
}
