package liveness

import (
	"errors"
	"fmt"

	"github.com/patchbay-cni/patchbay/pkg/identity"
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// HostInterface finds the host interface of an attachment: by the recorded name and, where that is missing or is another
// attachment's, by the recorded index (of an interface that another plugin made) or by our alias. The error wraps
// link.ErrNotFound if it does not exist.
func (c Checker) HostInterface(r *store.Record) (*link.Link, error) {
	if r.Role == store.RolePart {
		return c.byIndex(r)
	}
	mark := identity.MarkOf(r.Alias)
	l, err := c.Host.Link(r.HostLink)
	switch {
	case err == nil && (r.Role != store.RolePort || mark != "" && l.IsOurs(mark)):
		return l, nil
	case err != nil && !errors.Is(err, link.ErrNotFound):
		return nil, err
	case c.OtherBoot(r), r.Role == store.RoleChained && r.HostIndex == 0:
		return nil, fmt.Errorf("interface %s: %w", r.HostLink, link.ErrNotFound)
	case r.Role == store.RoleChained:
		return c.Host.LinkAt(r.HostIndex)
	}
	return c.Aliases.Find(mark)
}

// byIndex finds an interface that another plugin made and named: the name may be another interface's by now.
func (c Checker) byIndex(r *store.Record) (*link.Link, error) {
	if c.OtherBoot(r) || r.HostIndex == 0 {
		return nil, fmt.Errorf("interface %s: %w", r.HostLink, link.ErrNotFound)
	}
	return c.Host.LinkAt(r.HostIndex)
}

// IsRenamed reports whether the host interface of an attachment has another name than the record has.
func (c Checker) IsRenamed(r *store.Record) bool {
	l, err := c.HostInterface(r)
	return err == nil && l.Name != r.HostLink
}

// withCurrentName returns a record with the name that its host interface has now, which rules and bridge ports need.
func (c Checker) withCurrentName(r *store.Record) *store.Record {
	l, err := c.HostInterface(r)
	if err != nil || l.Name == r.HostLink {
		return r
	}
	renamed := *r
	renamed.HostLink = l.Name
	return &renamed
}

// Aliases finds veth interfaces by the mark in their alias. All are read on first use, which happens only when an interface is
// not found by its name: an administrator may have renamed it, and the alias stays.
type Aliases struct {
	host   *link.Host
	byMark map[string]*link.Link // nil until it is read
}

// NewAliases returns Aliases of a host; nothing is read yet.
func NewAliases(host *link.Host) *Aliases { return &Aliases{host: host} }

// Find returns the veth interface whose alias begins with a mark. The error wraps link.ErrNotFound if there is none.
func (a *Aliases) Find(mark string) (*link.Link, error) {
	if a.byMark == nil {
		veths, err := a.host.Veths()
		if err != nil {
			return nil, err
		}
		a.byMark = make(map[string]*link.Link, len(veths))
		for _, l := range veths {
			if its := identity.MarkOf(l.Alias); its != "" {
				a.byMark[its] = l
			}
		}
	}
	if l := a.byMark[mark]; l != nil && mark != "" {
		return l, nil
	}
	return nil, fmt.Errorf("interface with the alias %s: %w", mark, link.ErrNotFound)
}
