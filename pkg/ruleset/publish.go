package ruleset

import (
	"context"
	"errors"

	"github.com/patchbay-cni/patchbay/pkg/conntrack"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/liveness"
	"github.com/patchbay-cni/patchbay/pkg/nft"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Ruleset is an open connection to nf_tables of one host.
type Ruleset struct {
	rules *nft.Ruleset
	host  *link.Host
}

// Open connects to nf_tables. The error wraps nft.ErrUnsupported if the kernel has none.
func Open(host *link.Host) (*Ruleset, error) {
	rules, err := nft.Open()
	if err != nil {
		return nil, err
	}
	if err := rules.Supported(); err != nil {
		rules.Close()
		return nil, err
	}
	return &Ruleset{rules: rules, host: host}, nil
}

// Close closes the connection.
func (r *Ruleset) Close() { r.rules.Close() }

// Usable returns why elements cannot be added to the table of this host: another program made it, or a newer version.
func (r *Ruleset) Usable() error { return r.rules.Usable() }

// UsableOnBridge returns the same error as Usable, for the table of the bridge family.
func (r *Ruleset) UsableOnBridge() error { return r.rules.UsableOnBridge() }

// CheckPortsFree returns an error that wraps nft.ErrPortTaken if another attachment publishes one of the ports. alias is that
// of the attachment itself; dataDir is where the addresses of its network are reserved.
func (r *Ruleset) CheckPortsFree(alias string, ports []store.Port, dataDir string) error {
	e := nft.Entry{Owner: alias}
	for _, p := range ports {
		e.Ports = append(e.Ports, expand(p)...)
	}
	return named(r.rules.CheckPorts(e, r.isGone(dataDir)))
}

// Publish adds the elements of an attachment in one transaction; the table and its chains are made if they are missing. Elements
// of an attachment that no longer exists are replaced. The error wraps store.ErrBusy if another process has held the lock
// all the time: then nothing was added.
func (r *Ruleset) Publish(ctx context.Context, record *store.Record, stateDir, dataDir string) error {
	entry := entryOf(record)
	err := r.add(ctx, entry, stateDir, dataDir)
	if errors.Is(err, nft.ErrNotBuilt) {
		err = r.build(ctx, entry, stateDir, dataDir)
	}
	return named(err)
}

// add holds the lock meanwhile: a process that has listed the live attachments before this record existed, and replaces the table
// after this, would drop the elements until its second look. An entry with ports for single addresses of the host needs the
// lock for itself: see nft.Publish.
func (r *Ruleset) add(ctx context.Context, entry nft.Entry, stateDir, dataDir string) error {
	mode := Shared
	if entry.HasHostIP() {
		mode = Exclusive
	}
	unlock, err := Lock(ctx, stateDir, mode)
	if err != nil {
		return err
	}
	defer unlock()
	return r.rules.PublishReplacing(entry, r.isGone(dataDir))
}

func (r *Ruleset) build(ctx context.Context, entry nft.Entry, stateDir, dataDir string) error {
	unlock, err := Lock(ctx, stateDir, Build)
	if err != nil {
		return err
	}
	defer unlock()
	return r.rules.BuildReplacing(entry, r.isGone(dataDir), func() ([]nft.Entry, error) { return entries(r.host, r.rules, stateDir) })
}

func (r *Ruleset) isGone(dataDir string) func(owner string) bool {
	return func(owner string) bool { return liveness.IsGone(r.host, dataDir, owner) }
}

// EndStaleFlows ends the flows to the UDP and SCTP ports of an attachment that began before the ports were published: the kernel
// would go on to send them elsewhere. Failing is a warning only.
func EndStaleFlows(ctx context.Context, record *store.Record) {
	flush(ctx, record.Key().String(), datagrams(record), conntrack.FlushStale)
}

// HasDatagramPorts reports whether an attachment publishes ports whose flows have no end of their own.
func HasDatagramPorts(record *store.Record) bool { return len(datagrams(record)) > 0 }
