package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// drift returns the differences between record and kernel as sentences, those at the bridge first. What could not be read
// is not a difference.
func (m *snapshot) drift(a *Attachment) []string {
	switch {
	case !a.Ours:
		return nil
	case a.Record == nil && m.recordsKnown:
		return []string{a.HostLink.Name + " has patchbay's alias, but no record"}
	case a.Record == nil:
		return nil
	case a.Record.Role != store.RoleIPAM && a.HostLink == nil:
		return []string{m.linkGone(a.Record)}
	}
	var found []string
	if a.HostLink != nil {
		found = hostDrift(a)
	}
	return slices.Concat(found, m.containerDrift(a), m.rulesetDrift(a))
}

// rulesetDrift returns the rules of an attachment that are missing.
func (m *snapshot) rulesetDrift(a *Attachment) []string {
	r := a.Record
	if a.HostLink == nil || r.Masquerade == nil && r.Publish == nil && r.Policy == "" && r.Egress == nil && r.SpoofCheck == nil {
		return nil
	}
	rules, err := m.inventory.Rules()
	if err != nil {
		m.rulesErrors = []string{fmt.Sprintf("the ruleset: %v", root(err))}
		return nil
	}
	lost := rules.Missing(r)
	for i := range lost {
		lost[i] += " (patchbay reload)"
	}
	if r.Publish != nil {
		for _, p := range r.Publish.Ports {
			if rules.MissingPorts(r, p) > 0 {
				a.LostPorts = append(a.LostPorts, p)
			}
		}
	}
	return lost
}

// recent is the age of a record up to which its ADD may be in progress.
const recent = 10 * time.Second

func (m *snapshot) linkGone(r *store.Record) string {
	text := fmt.Sprintf("host interface %s does not exist; its record has bridge %s", r.HostLink, r.Bridge)
	switch {
	case m.bootID != "" && r.BootID != "" && r.BootID != m.bootID:
		return text + ", and is from the previous boot"
	case time.Since(r.Created) < recent:
		return text + " (an ADD may be in progress)"
	}
	return text
}

// hostDrift compares the host interface.
func hostDrift(a *Attachment) []string {
	r, l := a.Record, a.HostLink
	var found []string
	if l.Name != r.HostLink {
		found = append(found, fmt.Sprintf("%s was renamed; its record has %s", l.Name, r.HostLink))
	}
	if r.Alias != "" && r.Role == store.RolePort && l.Alias != r.Alias {
		found = append(found, fmt.Sprintf("%s has the alias %q instead of patchbay's", l.Name, l.Alias))
	}
	switch {
	case a.Bridge == "" && r.Bridge != "":
		found = append(found, fmt.Sprintf("%s is not a bridge port; its record has bridge %s", l.Name, r.Bridge))
	case a.Bridge != r.Bridge:
		found = append(found, fmt.Sprintf("%s is a port of bridge %s; its record has %s", l.Name, a.Bridge, r.Bridge))
	}
	if !l.Up {
		found = append(found, l.Name+" is down")
	}
	return found
}

// containerDrift compares the container interface.
func (m *snapshot) containerDrift(a *Attachment) []string {
	r := a.Record
	s := m.at(r.Netns)
	switch {
	case s == nil || s.gone():
		return []string{fmt.Sprintf("network namespace %s no longer exists", r.Netns)}
	case s.err != nil:
		return nil
	case r.NetnsCookie != 0 && s.survey.Cookie != 0 && r.NetnsCookie != s.survey.Cookie:
		return []string{fmt.Sprintf("%s is another network namespace than at the ADD", r.Netns)}
	case a.Link == nil:
		return []string{fmt.Sprintf("no interface %s in %s", r.IfName, r.Netns)}
	}
	return append(linkDrift(a), addressDrift(a)...)
}

func linkDrift(a *Attachment) []string {
	r, l := a.Record, a.Link
	var found []string
	if l.Name != r.IfName {
		found = append(found, fmt.Sprintf("%s was renamed to %s", r.IfName, l.Name))
	}
	// Without addresses it may be down on purpose (disableContainerInterface).
	if !l.Up && len(r.Addresses) > 0 {
		found = append(found, l.Name+" is down")
	}
	if r.MAC != "" && l.MAC != r.MAC {
		found = append(found, fmt.Sprintf("%s has MAC %s; its record has %s", l.Name, l.MAC, r.MAC))
	}
	return found
}

// tapDrift compares the tap. The guest has the addresses, and the container interface none.
func tapDrift(a *Attachment) (found []string) {
	t := a.Record.Tap
	switch {
	case a.Tap == nil:
		found = append(found, fmt.Sprintf("no tap %s in %s", t.Name, a.Record.Netns))
	case a.Tap.Alias != a.Record.Alias:
		found = append(found, fmt.Sprintf("tap %s has the alias %q instead of patchbay's", t.Name, a.Tap.Alias))
	case !a.Tap.Up:
		found = append(found, fmt.Sprintf("tap %s is down", t.Name))
	}
	for _, h := range globals(a.Link.Addresses) {
		found = append(found, fmt.Sprintf("%s has %s, but the guest behind tap %s has the addresses", a.Link.Name, h.Prefix, t.Name))
	}
	return found
}

func addressDrift(a *Attachment) []string {
	if a.HasTap() {
		return tapDrift(a)
	}
	var found []string
	want := map[netip.Prefix]bool{}
	for _, w := range a.Record.Addresses {
		want[w.Address] = true
		if !slices.ContainsFunc(a.Link.Addresses, func(h link.SurveyAddress) bool { return h.Prefix == w.Address }) {
			found = append(found, fmt.Sprintf("%s has lost %s", a.Link.Name, w.Address))
		}
	}
	for _, h := range globals(a.Link.Addresses) {
		switch {
		case h.Failed:
			found = append(found, fmt.Sprintf("duplicate address: another host on the link has %s", h.Prefix.Addr()))
		case h.Permanent && !want[h.Prefix] && len(want) > 0: // without IPAM the container assigns its addresses itself
			found = append(found, fmt.Sprintf("%s has %s, which is not in its record", a.Link.Name, h.Prefix))
		}
	}
	return found
}
