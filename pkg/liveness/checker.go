package liveness

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/report"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Checker compares records with the interfaces of one host.
type Checker struct {
	Host    *link.Host
	Aliases *Aliases // read on first use

	boot       string
	namespaces *namespaces
}

// New returns a Checker for a host; nothing is looked up yet.
func New(host *link.Host) Checker {
	return Checker{Host: host, boot: store.BootID(), Aliases: NewAliases(host), namespaces: &namespaces{}}
}

// StaleIn returns the stale attachments of one network whose addresses are in the data directory of dirs. The record of a key
// for which skip returns true is not read; skip may be nil.
func (c Checker) StaleIn(dirs store.Dirs, network string, skip func(store.Key) bool) ([]*store.Record, error) {
	entries, err := store.ListNetworkExcept(dirs.State, network, skip)
	if err != nil {
		return nil, err
	}
	var stale []*store.Record
	for _, e := range entries {
		if e.Err != nil {
			report.Warn("record %s: %v; only its DEL or GC releases its addresses", e.Path, e.Err)
		}
		if e.Err == nil && e.Record != nil && dirs.Has(e.Record.DataDir) && c.IsStale(e.Record) {
			stale = append(stale, e.Record)
		}
	}
	return stale, nil
}

// liveRecord returns the record of an entry if its attachment is live, else nil. A DEL and an ADD of the same container may
// have run since the entry was read: their interface has the same name and alias. So the record must still be of the same
// time when the interface has been found.
func (c Checker) liveRecord(e store.Entry) *store.Record {
	for {
		if e.Record == nil || e.Record.Role == store.RoleIPAM || c.InOtherHost(e.Record) || c.IsStale(e.Record) {
			return nil
		}
		now, there := e.Reread()
		if !there {
			return nil
		}
		if now.Record != nil && now.Record.Created.Equal(e.Record.Created) {
			return c.withCurrentName(now.Record)
		}
		e = now
	}
}

// IsStale reports whether an attachment is certainly not in use: it has no host interface, and would have one in this network
// namespace. It is not stale if the lookup fails.
func (c Checker) IsStale(r *store.Record) bool {
	switch {
	case r.HostLink == "" && r.Role == store.RolePart: // the container interface has no other end here: only its namespace can be looked for
		return c.OtherBoot(r) || c.namespaces.gone(link.NetnsID{Cookie: r.NetnsCookie, Inode: r.NetnsInode})
	case r.HostLink == "": // another main plugin made the interface, and calls this program for addresses alone
		return c.OtherBoot(r) || store.Released(r)
	}
	_, err := c.HostInterface(r)
	return errors.Is(err, link.ErrNotFound) && !c.InOtherHost(r)
}

// OtherBoot reports whether a record is from a previous boot of the host: no network namespace of that time exists any more.
func (c Checker) OtherBoot(r *store.Record) bool { return IsFromOtherBoot(r, c.boot) }

// IsFromOtherBoot reports whether a record is from another boot of the host than the one with the ID boot.
func IsFromOtherBoot(r *store.Record, boot string) bool {
	return r.BootID != "" && boot != "" && r.BootID != boot
}

// InOtherHost reports whether an attachment was made in another host's network namespace of this boot (a nested node), so that
// its host interface cannot be seen here: only its own DEL, or GC, removes it. If neither that namespace nor the container's
// exists any more, as after the nested node was destroyed, it is stale here. That is as certain as link.Namespaces is; where
// that may not look at all threads, the attachment counts as live.
func (c Checker) InOtherHost(r *store.Record) bool {
	here := c.Host.Cookie()
	if c.OtherBoot(r) || r.HostCookie == 0 || here == 0 || r.HostCookie == here {
		return false
	}
	return !c.namespaces.gone(link.NetnsID{Cookie: r.HostCookie, Inode: r.HostInode}) ||
		!c.namespaces.gone(link.NetnsID{Cookie: r.NetnsCookie, Inode: r.NetnsInode})
}

// namespaces are those of the machine. They are searched for only when a record of another host namespace is met.
type namespaces struct{ found *link.Namespaces }

func (n *namespaces) gone(id link.NetnsID) bool {
	if n.found == nil {
		n.found = link.FindNamespaces()
	}
	return n.found.Gone(id)
}

// HasNetns reports whether the network namespace of a record still exists: `patchbay reload` may restore such an attachment.
// A namespace that cannot be looked at, for whatever reason, counts as existing.
func (c Checker) HasNetns(r *store.Record) bool {
	if c.OtherBoot(r) || r.Netns == "" {
		return false
	}
	cookie, err := link.NetnsCookie(r.Netns)
	switch {
	case errors.Is(err, link.ErrNoNetns), errors.Is(err, link.ErrNotNetns), errors.Is(err, link.ErrHostNetns):
		return false
	case err != nil:
		return true
	}
	if r.Role == store.RoleIPAM {
		return true // a record of addresses alone has no cookie
	}
	return cookie == r.NetnsCookie // also on a kernel without cookies (before Linux 5.14), where both are 0
}

// Released reports whether host-local has released the addresses of an attachment in a DEL: the network was moved back
// to the reference plugins. Where host-local itself gave the address, that is known only if it uses its default directory.
func Released(r *store.Record) bool {
	const hostLocal = "host-local"
	if r.IPAMType == "" {
		return store.Released(r)
	}
	if _, err := os.Stat(filepath.Join(config.DefaultSharedDir, r.Network)); r.IPAMType != hostLocal || err != nil {
		return false
	}
	there := *r
	there.DataDir = config.DefaultSharedDir
	return store.Released(&there)
}
