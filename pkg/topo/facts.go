package topo

import (
	"github.com/patchbay-cni/patchbay/pkg/link"
	"github.com/patchbay-cni/patchbay/pkg/store"
)

// Published is one published port of an attachment.
type Published struct {
	Text string // "8080/tcp -> 80"
	Lost bool   // the ruleset lacks it, or a part of its range
}

// Published returns the published ports of an attachment by host port, each once for all of its addresses.
func (a *Attachment) Published() []Published {
	var all []Published
	for _, p := range a.ports() {
		all = append(all, Published{portText(p), a.hasLost(p)})
	}
	return all
}

// OutsideSees describes the masquerade of an attachment: "outside sees the host (IPv4)"; "" without.
func (a *Attachment) OutsideSees() string { return masqueraded(a.Record) }

// Policies returns the policies of an attachment: "isolated", "egress to 2 destinations and 1 name server".
func (a *Attachment) Policies() []string { return policiesOf(a.Record) }

// HasLine reports whether an attachment is drawn as a line: it has a host interface, or a record says that it had one.
func (a *Attachment) HasLine() bool { return a.hasLine() }

// Pod returns the pod of an attachment, nil if its record names none.
func (a *Attachment) Pod() *store.Pod {
	if a.Record == nil || a.Record.Pod == nil || a.Record.Pod.Name == "" {
		return nil
	}
	return a.Record.Pod
}

// NameWithoutNetns returns the name of an attachment whose network namespace is not known: a part of its container ID.
func (v *View) NameWithoutNetns(a *Attachment) string { return unknownName(a, v) }

// GlobalAddresses returns the addresses of an interface without link-local IPv6 ones, which every interface has.
func GlobalAddresses(l *link.SurveyLink) []link.SurveyAddress { return globals(l.Addresses) }
