package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// drift says in words where the kernel is not as the record says, nearest to the bridge
// first. What could not be seen is never a difference.
func (m *moment) drift(a *Attachment) []string {
	switch {
	case !a.Ours:
		return nil
	case a.Record == nil && m.recordsKnown:
		return []string{a.HostLink.Name + " has patchbay's alias, but there is no record of it"}
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

// rulesetDrift is what is lost of an attachment's rules.
func (m *moment) rulesetDrift(a *Attachment) []string {
	if m.ruleset == nil || a.Record.Masquerade == nil && a.Record.Publish == nil && a.Record.Policy == "" || a.HostLink == nil {
		return nil
	}
	lost, err := m.ruleset(a.Record)
	if err != nil && m.blindToRules == nil {
		m.blindToRules = []string{fmt.Sprintf("the ruleset: %v", root(err))}
	}
	for i := range lost {
		lost[i] += " (patchbay reload)"
	}
	if m.lostPorts != nil && err == nil && a.Record.Publish != nil {
		for _, p := range a.Record.Publish.Ports {
			if m.lostPorts(a.Record, p) > 0 {
				a.LostPorts = append(a.LostPorts, p)
			}
		}
	}
	return lost
}

// recent is how young a record is whose ADD may still be at work.
const recent = 10 * time.Second

func (m *moment) linkGone(r *store.Record) string {
	text := fmt.Sprintf("%s is gone; by the record it is plugged into %s", r.HostLink, r.Bridge)
	switch {
	case m.bootID != "" && r.BootID != "" && r.BootID != m.bootID:
		return text + ", which was before this machine's last restart"
	case time.Since(r.Created) < recent:
		return text + " (or an ADD is just at work)"
	}
	return text
}

// hostDrift compares the end of the cable that is in the bay.
func hostDrift(a *Attachment) []string {
	r, l := a.Record, a.HostLink
	var found []string
	if r.Alias != "" && r.Role == store.RolePort && l.Alias != r.Alias {
		found = append(found, fmt.Sprintf("%s has the alias %q, not ours", l.Name, l.Alias))
	}
	switch {
	case a.Bridge == "" && r.Bridge != "":
		found = append(found, fmt.Sprintf("%s is unplugged; by the record it is plugged into %s", l.Name, r.Bridge))
	case a.Bridge != r.Bridge:
		found = append(found, fmt.Sprintf("%s is plugged into %s; by the record it is %s", l.Name, a.Bridge, r.Bridge))
	}
	if !l.Up {
		found = append(found, l.Name+" is down")
	}
	return found
}

// containerDrift compares the end of the cable that is in the container.
func (m *moment) containerDrift(a *Attachment) []string {
	r := a.Record
	s := m.at(r.Netns)
	switch {
	case s == nil || s.gone():
		return []string{fmt.Sprintf("there is no network namespace at %s any more", r.Netns)}
	case s.err != nil:
		return nil
	case r.NetnsCookie != 0 && s.survey.Cookie != 0 && r.NetnsCookie != s.survey.Cookie:
		return []string{fmt.Sprintf("at %s is another network namespace now", r.Netns)}
	case a.Link == nil:
		return []string{fmt.Sprintf("there is no %s in %s", r.IfName, r.Netns)}
	}
	return append(linkDrift(a), addressDrift(a)...)
}

func linkDrift(a *Attachment) []string {
	r, l := a.Record, a.Link
	var found []string
	if l.Name != r.IfName {
		found = append(found, fmt.Sprintf("%s is called %s now", r.IfName, l.Name))
	}
	// Without addresses it may be down on purpose (disableContainerInterface).
	if !l.Up && len(r.Addresses) > 0 {
		found = append(found, l.Name+" is down")
	}
	if r.MAC != "" && l.MAC != r.MAC {
		found = append(found, fmt.Sprintf("%s has MAC %s; by the record it is %s", l.Name, l.MAC, r.MAC))
	}
	return found
}

func addressDrift(a *Attachment) []string {
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
			found = append(found, fmt.Sprintf("somebody else on the link has %s too", h.Prefix.Addr()))
		case h.Permanent && !want[h.Prefix] && len(want) > 0: // without IPAM addresses are the container's own business
			found = append(found, fmt.Sprintf("%s has %s, of which the record says nothing", a.Link.Name, h.Prefix))
		}
	}
	return found
}
