package health

import (
	"slices"
	"time"

	"github.com/patchbay-cni/patchbay/pkg/doctor"
	"github.com/patchbay-cni/patchbay/pkg/inventory"
)

// Summary is the state of a host, and the object that `status -o json` prints: the names of the fields stay.
type Summary struct {
	Version     string       `json:"version"`     // of this program; the caller sets it
	Networks    []Network    `json:"networks"`    // configured, or with attachments; never null
	Attachments int          `json:"attachments"` // of every state
	Up          int          `json:"up"`          // those that ls prints as up
	Ports       int          `json:"ports"`       // published, a range counts as its ports
	Ruleset     RulesetState `json:"ruleset"`
	Problems    int          `json:"problems"`        // findings of doctor
	Unchecked   int          `json:"unchecked"`       // checks of doctor that failed
	LAN         []LAN        `json:"lan,omitempty"`   // networks of patchbay-lan, by name
	Agent       *Agent       `json:"agent,omitempty"` // nil without patchbay-agent, or if its file cannot be read

	Attached  []inventory.Attachment  `json:"-"` // of every state
	Published []inventory.Publication `json:"-"`
	Report    *doctor.Report          `json:"-"`
}

// RulesetState says whether the nftables ruleset has what the records require.
type RulesetState string

// The states of a ruleset.
const (
	Complete   RulesetState = "complete"   // it has the rules of every live attachment
	Incomplete RulesetState = "incomplete" // rules are missing (patchbay reload)
	Unknown    RulesetState = "unknown"    // it could not be read or checked
)

// Examine reads the state of the host that the process is in, and needs CAP_NET_ADMIN. An error is one of reading records,
// interfaces or rules; checks of doctor that fail are counted in Unchecked.
func Examine(h doctor.Host) (*Summary, error) {
	inv := inventory.New(h.StateDir)
	attached, err := inv.Attachments("")
	if err != nil {
		return nil, err
	}
	ports, err := inv.Ports("")
	if err != nil {
		return nil, err
	}
	report, err := doctor.Examine(h)
	if report == nil {
		return nil, err
	}
	s := &Summary{
		Attachments: len(attached), Problems: len(report.Findings), Unchecked: len(report.Unchecked),
		Attached: attached, Published: ports, Report: report, Agent: AgentOf(report.Agent, time.Now()), LAN: lans(report.Shared),
	}
	for _, a := range attached {
		if a.State == inventory.StateUp {
			s.Up++
		}
	}
	for _, p := range ports {
		s.Ports += max(1, p.Count)
	}
	s.Ruleset = rulesetState(report)
	s.Networks, err = networks(h.ConfDir, attached)
	return s, err
}

// rulesetState returns the state of the ruleset by the check of doctor that compares it with the records.
func rulesetState(r *doctor.Report) RulesetState {
	const rules = "rules"
	if !slices.Contains(r.Looked, rules) {
		return Unknown
	}
	if slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool { return f.About == rules }) {
		return Incomplete
	}
	return Complete
}
